use std::sync::Arc;

/// The keys of a map, shared by the maps that have the same.
pub(super) type Keys<K> = Option<Arc<[K]>>;

/// The keys of the map that was read last, and the texts of the first of them, colons included.
pub(super) struct LastKeys<'a, K> {
    pub(super) keys: Keys<K>,
    pub(super) texts: Vec<&'a str>,
}

impl<K> Default for LastKeys<'_, K> {
    fn default() -> Self {
        Self {
            keys: None,
            texts: Vec::new(),
        }
    }
}

impl<K: Clone> LastKeys<'_, K> {
    /// Forgets all but the first keys, and returns these.
    pub(super) fn first(&mut self, count: usize) -> Vec<K> {
        self.texts.truncate(count);
        let keys = self.keys.as_deref().unwrap_or_default().get(..count);
        keys.unwrap_or_default().to_vec()
    }
}
