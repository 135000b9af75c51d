//! Numbers that nobody has had before: the standard library's keys for hashing come from the kernel. Good for names and values
//! that only have to differ.

use std::hash::{BuildHasher, Hasher, RandomState};

pub fn number() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_differ() {
        assert_ne!(super::number(), super::number());
    }
}
