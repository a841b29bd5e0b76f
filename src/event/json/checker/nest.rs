/// The open objects and arrays, one bit each.
#[derive(Debug, Default)]
pub(super) struct Nest {
    depth: usize,
    /// The innermost 64, the last in the lowest bit; 1 is an object.
    bits: u64,
    outer: Vec<u64>,
}

impl Nest {
    #[inline]
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.depth == 0
    }

    /// Returns whether the innermost is an object.
    #[inline]
    pub(super) fn in_object(&self) -> bool {
        self.bits & 1 == 1
    }

    #[inline]
    pub(super) fn push(&mut self, object: bool) {
        if self.depth % 64 == 0 {
            self.outer.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(object);
        self.depth += 1;
    }

    /// Closes the innermost and returns whether it was an object; `None` if nothing is open.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<bool> {
        self.depth = self.depth.checked_sub(1)?;
        let object = self.in_object();
        self.bits >>= 1;
        if self.depth % 64 == 0 {
            self.bits = self.outer.pop().unwrap_or_default();
        }
        Some(object)
    }
}
