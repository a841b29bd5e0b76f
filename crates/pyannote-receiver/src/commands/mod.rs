//! What the program does besides serving.

pub(crate) mod doctor;
pub(crate) mod inbox;
pub(crate) mod reconcile;
