use std::ops::Range;

/// Receives the keys and values of the root object, and of the objects in it that it asks for.
pub(crate) trait Observer {
    /// Receives a key, quotation marks included; returns whether to report its value.
    ///
    /// `depth` is how many objects and arrays are open; 1 is the root.
    fn key(&mut self, depth: usize, key: &[u8]) -> bool;

    /// Receives the first byte of a reported value; returns whether to report the keys in it.
    fn value_begins(&mut self, depth: usize, first: u8) -> bool;

    /// Receives the place of the value of the last key at this depth.
    fn value(&mut self, depth: usize, at: Range<usize>);
}

/// What is reported to the observer at present.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The first byte of the root.
    pub(super) root: Option<u8>,
    /// Objects are reported down to this depth.
    depth: usize,
    key_start: usize,
    /// The starts of the open values that are reported, by depth.
    values: [Option<usize>; DEEPEST],
}

impl Watch {
    /// Returns whether the values at this depth are reported.
    #[inline]
    pub(super) fn sees(&self, depth: usize) -> bool {
        depth <= self.depth
    }

    #[inline]
    pub(super) fn key_begins(&mut self, at: usize) {
        self.key_start = at;
    }

    #[inline]
    pub(super) fn key_ends(
        &mut self,
        depth: usize,
        text: &[u8],
        at: usize,
        observer: &mut impl Observer,
    ) {
        if self.sees(depth) {
            self.report_key(depth, text, at, observer);
        }
    }

    /// Returns whether the keys of the value are reported.
    #[inline]
    pub(super) fn value_begins(
        &mut self,
        depth: usize,
        at: usize,
        first: u8,
        observer: &mut impl Observer,
    ) -> bool {
        self.sees(depth) && self.report_value_start(depth, at, first, observer)
    }

    /// Reports the keys of the object that was opened last.
    #[inline]
    pub(super) fn descend(&mut self, depth: usize) {
        self.depth = depth;
    }

    #[inline]
    pub(super) fn value_ends(&mut self, depth: usize, at: usize, observer: &mut impl Observer) {
        if self.sees(depth) {
            self.report_value(depth, at, observer);
        }
    }

    #[cold]
    fn report_key(&mut self, depth: usize, text: &[u8], at: usize, observer: &mut impl Observer) {
        let key = text.get(self.key_start..at).unwrap_or_default();
        let is_wanted = observer.key(depth, key);
        if let Some(start) = self.values.get_mut(depth - 1) {
            *start = is_wanted.then_some(at);
        }
    }

    #[cold]
    fn report_value_start(
        &mut self,
        depth: usize,
        at: usize,
        first: u8,
        observer: &mut impl Observer,
    ) -> bool {
        if depth == 0 {
            self.root = Some(first);
            return true;
        }
        match self.values.get_mut(depth - 1) {
            Some(Some(start)) => {
                *start = at;
                observer.value_begins(depth, first) && depth < DEEPEST
            }
            _ => false,
        }
    }

    #[cold]
    fn report_value(&mut self, depth: usize, at: usize, observer: &mut impl Observer) {
        if depth == 0 {
            return;
        }
        // The objects within the value are closed.
        self.depth = depth;
        if let Some(start) = self.values.get_mut(depth - 1).and_then(Option::take) {
            observer.value(depth, start..at);
        }
    }
}

/// The deepest object whose keys can be reported.
pub(super) const DEEPEST: usize = 2;
