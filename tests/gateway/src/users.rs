//! Users, their keys, and which key is let in.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// How long a key that was valid once is let in without asking the database.
const KEY_CACHE: Duration = Duration::from_secs(300);

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Sees own and global mappings, changes own ones.
    User,
    /// Sees and changes all mappings; those it makes are global.
    Admin,
    /// May not use mappings at all: 403 on every one of their routes.
    Provider,
}

/// Somebody with a key.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) key: String,
    pub(crate) owner_id: String,
}

/// All users, fixed at the start.
#[derive(Debug)]
pub(crate) struct Users {
    users: Vec<User>,
    by_key: HashMap<String, usize>,
}

impl Users {
    pub(crate) fn new(names: &[(String, Role)]) -> Self {
        let users: Vec<User> = names.iter().map(|(name, role)| User::new(name, *role)).collect();
        let by_key = users.iter().enumerate().map(|(index, user)| (user.key.clone(), index)).collect();
        Users { users, by_key }
    }

    /// The user with this name. Panics without one: the test asks for a user that it did not make.
    pub(crate) fn named(&self, name: &str) -> &User {
        let found = self.users.iter().find(|user| user.name == name);
        found.unwrap_or_else(|| panic!("the gateway has no user `{name}`"))
    }

    pub(crate) fn with_key(&self, key: &str) -> Option<&User> {
        self.by_key.get(key).map(|&index| &self.users[index])
    }
}

impl User {
    fn new(name: &str, role: Role) -> Self {
        User { name: name.to_owned(), role, key: key_of(name), owner_id: owner_id_of(name) }
    }
}

/// `ak_` and 48 hexadecimal digits, the same for a name in every run.
fn key_of(name: &str) -> String {
    format!("ak_{:016x}{:016x}{:016x}", digest(name, 1), digest(name, 2), digest(name, 3))
}

/// A version 4 UUID, the same for a name in every run.
pub(crate) fn owner_id_of(name: &str) -> String {
    let (high, low) = (digest(name, 4), digest(name, 5));
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 48 & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff
    )
}

/// FNV-1a with a final mix: spread well enough to look random, and nothing more is asked of it.
fn digest(name: &str, salt: u64) -> u64 {
    let seed = 0xcbf2_9ce4_8422_2325 ^ salt.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let hash = name.bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mixed = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// Which keys are revoked, and which are let in from the cache.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    revoked: HashSet<String>,
    cached: HashMap<String, Instant>,
}

impl Keys {
    /// Whether the key of a user is let in now. A valid one is cached, so that it is let in for five
    /// minutes whatever becomes of it or of the database.
    pub(crate) fn admit(&mut self, key: &str, database_down: bool) -> bool {
        let cached = self.cached.get(key).is_some_and(|since| since.elapsed() < KEY_CACHE);
        if cached {
            return true;
        }
        if database_down || self.revoked.contains(key) {
            return false;
        }
        self.cached.insert(key.to_owned(), Instant::now());
        true
    }

    pub(crate) fn revoke(&mut self, key: &str) {
        self.revoked.insert(key.to_owned());
    }

    pub(crate) fn restore(&mut self, key: &str) {
        self.revoked.remove(key);
    }

    pub(crate) fn forget(&mut self, key: &str) {
        self.cached.remove(key);
    }

    pub(crate) fn forget_all(&mut self) {
        self.cached.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_ak_and_48_hexadecimal_digits() {
        let key = key_of("alice");
        let digits = key.strip_prefix("ak_").expect("the prefix");
        assert_eq!(digits.len(), 48);
        assert!(digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(key, key_of("bob"));
    }

    #[test]
    fn an_owner_id_is_a_version_4_uuid() {
        let id = owner_id_of("alice");
        let lengths: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(id.as_bytes()[14], b'4');
        assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
    }

    #[test]
    fn a_cached_key_expires_after_five_minutes() {
        let Some(long_ago) = Instant::now().checked_sub(KEY_CACHE) else { return };
        let mut keys = Keys::default();
        keys.cached.insert("ak_1".to_owned(), long_ago);
        keys.revoke("ak_1");
        assert!(!keys.admit("ak_1", false));
    }
}
