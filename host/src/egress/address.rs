//! Which addresses may be dialled.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses of cloud metadata services outside the link-local range, which hand out credentials to whoever asks:
/// Azure's, Alibaba's, Oracle's, and (IPv6) EC2's and Google's.
const METADATA: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// Why this address may not be dialled, if it may not. `loopback_only` holds for plain text that was not granted to
/// leave the machine.
pub(crate) fn refusal(address: IpAddr, loopback_only: bool) -> Option<&'static str> {
    let inner = unwrap(address);
    let special = match inner {
        IpAddr::V4(v4) => v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unspecified() || v6.is_multicast(),
    };
    let link_local = match inner {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    if link_local || METADATA.contains(&inner) {
        Some("it is link-local or a metadata service")
    } else if special {
        Some("it is not the address of one machine")
    } else if loopback_only && !inner.is_loopback() {
        Some("plain text may only go to this machine")
    } else {
        None
    }
}

/// The IPv4 address that hides in an IPv6 one (mapped, compatible, translated, NAT64, 6to4, Teredo), or the address
/// itself.
fn unwrap(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let s = v6.segments();
    let v4 = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match s {
        // ::1 and :: are themselves, not the compatible forms of 0.0.0.1 and 0.0.0.0.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => address,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0, 0, 0, 0, 0xffff, 0, high, low] | [0x64, 0xff9b, 1, _, _, _, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        [0x2001, 0, _, _, _, _, high, low] => v4(!high, !low),
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(address: &str, loopback_only: bool) -> bool {
        refusal(address.parse().unwrap(), loopback_only).is_some()
    }

    #[test]
    fn link_local_and_metadata_are_never_dialled() {
        for address in [
            "169.254.169.254",
            "169.254.0.1",
            "fe80::1",
            "fd00:ec2::254",
            "168.63.129.16",
            "100.100.100.200",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe",
            "::ffff:0:169.254.169.254",
            "2002:a9fe:a9fe::1",
            "2001:0:1:2::5601:5601",
            "fd20:ce::254",
            "0.0.0.0",
            "::",
            "255.255.255.255",
            "224.0.0.1",
            "ff02::1",
        ] {
            assert!(refused(address, false), "{address}");
        }
    }

    #[test]
    fn plain_text_stays_on_this_machine() {
        for address in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(!refused(address, true), "{address}");
        }
        for address in ["10.0.0.1", "192.0.2.1", "2001:db8::1", "::ffff:10.0.0.1"] {
            assert!(refused(address, true), "{address}");
            assert!(!refused(address, false), "{address}");
        }
    }
}
