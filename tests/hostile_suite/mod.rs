//! What a hostile component tries, and what becomes of it.
//!
//! Real components run against a GRANTED server (the reference gateway), an EVIL one whose connections are counted,
//! and, where names are resolved, a resolver under the test's control. Every paragraph of the list of cases is an enum
//! here; what a case tries is an exhaustive `match`, and a test runs all of them: a case without a test does not
//! compile.

mod answers;
mod bad_input;
mod destination;
mod explaining;
mod headers_and_bodies;
mod keys;
mod limits;
mod matcher;
mod method_and_path;
mod observing;
mod other_ways_out;
pub(crate) mod probe;
mod redirects_and_proxies;
mod resolution;

/// An enum of cases, and the list of all of them.
macro_rules! cases {
    ($(#[$doc:meta])* $name:ident { $($case:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(clippy::enum_variant_names, reason = "a case is named as the attack is")]
        enum $name { $($case),* }

        impl $name {
            const ALL: &[Self] = &[$(Self::$case),*];
        }
    };
}
use cases;
