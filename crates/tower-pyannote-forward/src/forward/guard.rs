use std::{
    error::Error,
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The addresses to which a connection may be made.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    /// Whether public addresses are allowed.
    pub(super) public: bool,
    /// Whether loopback, private and shared addresses are allowed.
    pub(super) private: bool,
    /// Networks that are allowed in any case.
    pub(super) networks: Vec<IpNet>,
}

impl Guard {
    pub(super) fn allows(&self, address: IpAddr) -> bool {
        let inner = unmapped(address);
        let is_listed = |address: IpAddr| {
            self.networks
                .iter()
                .any(|network| network.contains(&address))
        };
        if is_listed(address) || is_listed(inner) {
            return true;
        }
        match scope(inner) {
            Scope::Public => self.public,
            Scope::Private => self.private,
            Scope::Special => false,
        }
    }

    /// Checks the answers of a resolver.
    pub(super) fn resolver(self, resolver: Arc<dyn Resolve>) -> GuardedResolver {
        GuardedResolver {
            guard: Arc::new(self),
            resolver,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Public,
    /// The machine itself, or a network of its owner.
    Private,
    /// Link-local addresses, where clouds serve credentials; multicast and reserved addresses; and those that map to others.
    Special,
}

fn scope(address: IpAddr) -> Scope {
    // `Special` takes precedence, because some special addresses are part of a private network.
    let (is_special, is_private) = match address {
        IpAddr::V4(address) => {
            let within = |networks: &[Ipv4Net]| networks.iter().any(|net| net.contains(&address));
            (within(&SPECIAL_V4), within(&PRIVATE_V4))
        }
        IpAddr::V6(address) => {
            let within = |networks: &[Ipv6Net]| networks.iter().any(|net| net.contains(&address));
            let is_private = within(&PRIVATE_V6);
            // Everything outside of global unicast is reserved.
            let is_reserved = !is_private && !GLOBAL_V6.contains(&address);
            (within(&SPECIAL_V6) || is_reserved, is_private)
        }
    };
    match (is_special, is_private) {
        (true, _) => Scope::Special,
        (false, true) => Scope::Private,
        (false, false) => Scope::Public,
    }
}

/// Returns the IPv4 address to which an IPv4-mapped or a NAT64 address leads.
fn unmapped(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let [.., a, b, c, d] = v6.octets();
    match v6.to_ipv4_mapped() {
        Some(v4) => IpAddr::V4(v4),
        None if NAT64.contains(&v6) => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        None => address,
    }
}

const PRIVATE_V4: [Ipv4Net; 5] = [
    v4([127, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([172, 16, 0, 0], 12),
    v4([192, 168, 0, 0], 16),
    v4([100, 64, 0, 0], 10),
];

const SPECIAL_V4: [Ipv4Net; 13] = [
    v4([0, 0, 0, 0], 8),
    v4([169, 254, 0, 0], 16),
    // The metadata service of Azure, and that of Alibaba Cloud, which is in the shared network.
    v4([168, 63, 129, 16], 32),
    v4([100, 100, 100, 200], 32),
    v4([192, 0, 0, 0], 24),
    v4([192, 0, 2, 0], 24),
    v4([192, 88, 99, 0], 24),
    v4([198, 18, 0, 0], 15),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    v4([224, 0, 0, 0], 4),
    v4([240, 0, 0, 0], 4),
    v4([255, 255, 255, 255], 32),
];

const PRIVATE_V6: [Ipv6Net; 2] = [
    v6([0, 0, 0, 0, 0, 0, 0, 1], 128),
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7),
];

const GLOBAL_V6: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// The metadata services of AWS and Google Cloud, and what is not global in global unicast: protocol assignments with Teredo,
/// documentation, and 6to4.
const SPECIAL_V6: [Ipv6Net; 6] = [
    v6([0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0], 32),
    v6([0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0], 32),
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
    v6([0x2001, 0x0db8, 0, 0, 0, 0, 0, 0], 32),
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16),
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),
];

const NAT64: Ipv6Net = v6([0x0064, 0xff9b, 0, 0, 0, 0, 0, 0], 96);

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix)
}

/// A resolver that leaves out the addresses that its guard does not allow.
///
/// The client connects to the addresses that were checked, so a name that changes its address after the check has no effect.
pub(super) struct GuardedResolver {
    guard: Arc<Guard>,
    resolver: Arc<dyn Resolve>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Arc::clone(&self.guard);
        let resolving = self.resolver.resolve(name);
        Box::pin(async move {
            let mut refused = None;
            let allowed: Vec<SocketAddr> = resolving
                .await?
                .filter(|address| {
                    let allows = guard.allows(address.ip());
                    if !allows {
                        refused = Some(address.ip());
                    }
                    allows
                })
                .collect();
            match refused {
                Some(address) if allowed.is_empty() => Err(AddressRefused { address }.into()),
                _ => Ok(addresses(allowed)),
            }
        })
    }
}

/// The resolver of the system.
#[derive(Debug)]
pub(super) struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses: Vec<_> = addresses.collect();
            if addresses.is_empty() {
                return Err(
                    io::Error::new(io::ErrorKind::NotFound, "the name has no address").into(),
                );
            }
            Ok(self::addresses(addresses))
        })
    }
}

fn addresses(addresses: Vec<SocketAddr>) -> Addrs {
    Box::new(addresses.into_iter())
}

/// The error of a name without an allowed address.
#[derive(Debug)]
pub(super) struct AddressRefused {
    pub(super) address: IpAddr,
}

impl fmt::Display for AddressRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the address {} is not allowed: check the DNS of the name, or allow the address with allow_private or \
             allowed_networks",
            self.address
        )
    }
}

impl Error for AddressRefused {}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(public: bool, private: bool, networks: &[&str]) -> Guard {
        Guard {
            public,
            private,
            networks: networks.iter().map(|net| net.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn every_address_has_its_scope() {
        use Scope::{Private, Public, Special};
        let cases = [
            ("8.8.8.8", Public),
            ("172.15.255.255", Public),
            ("172.32.0.0", Public),
            ("100.63.255.255", Public),
            ("100.128.0.0", Public),
            ("2606:4700::1111", Public),
            ("127.0.0.1", Private),
            ("127.255.255.254", Private),
            ("10.1.2.3", Private),
            ("172.16.0.1", Private),
            ("172.31.255.255", Private),
            ("192.168.1.1", Private),
            ("100.64.0.1", Private),
            ("::1", Private),
            ("fc00::1", Private),
            ("fdff::1", Private),
            ("0.0.0.0", Special),
            ("0.1.2.3", Special),
            ("169.254.169.254", Special),
            ("168.63.129.16", Special),
            ("100.100.100.200", Special),
            ("192.0.0.192", Special),
            ("192.0.2.1", Special),
            ("198.18.0.1", Special),
            ("224.0.0.1", Special),
            ("255.255.255.255", Special),
            ("::", Special),
            ("fe80::1", Special),
            ("fec0::1", Special),
            ("ff02::1", Special),
            ("fd00:ec2::254", Special),
            ("fd20:ce::254", Special),
            ("2001::1", Special),
            ("2001:db8::1", Special),
            ("2002:7f00:1::", Special),
            ("64:ff9b:1::a00:1", Special),
            ("::127.0.0.1", Special),
            // The IPv4 address inside counts.
            ("::ffff:8.8.8.8", Public),
            ("::ffff:127.0.0.1", Private),
            ("::ffff:169.254.169.254", Special),
            ("64:ff9b::8.8.8.8", Public),
            ("64:ff9b::10.0.0.1", Private),
            ("64:ff9b::169.254.169.254", Special),
        ];
        for (address, expected) in cases {
            let address = address.parse().unwrap();
            assert_eq!(scope(unmapped(address)), expected, "{address}");
            assert_eq!(
                guard(true, false, &[]).allows(address),
                expected == Public,
                "{address}"
            );
            assert_eq!(
                guard(false, true, &[]).allows(address),
                expected == Private,
                "{address}"
            );
            assert!(
                guard(false, false, &["0.0.0.0/0", "::/0"]).allows(address),
                "{address}"
            );
        }
    }

    #[test]
    fn listed_network_is_allowed_and_no_other() {
        let guard = guard(false, false, &["10.1.0.0/16", "169.254.169.254/32"]);
        for (address, allowed) in [
            ("10.1.255.1", true),
            ("::ffff:10.1.0.1", true),
            ("169.254.169.254", true),
            ("10.2.0.1", false),
            ("169.254.169.253", false),
            ("8.8.8.8", false),
        ] {
            assert_eq!(guard.allows(address.parse().unwrap()), allowed, "{address}");
        }
    }

    /// A resolver that gives each lookup its next answer.
    struct Answers(std::sync::Mutex<std::vec::IntoIter<Vec<&'static str>>>);

    impl Resolve for Answers {
        fn resolve(&self, _: Name) -> Resolving {
            let answer = self.0.lock().unwrap().next().unwrap();
            let addresses = answer
                .into_iter()
                .map(|address| SocketAddr::new(address.parse().unwrap(), 0));
            Box::pin(std::future::ready(Ok(Box::new(addresses) as Addrs)))
        }
    }

    #[tokio::test]
    async fn every_answer_of_the_resolver_is_checked() {
        let answers = vec![
            vec!["8.8.8.8"],
            vec!["10.0.0.1"],
            vec!["169.254.169.254", "8.8.4.4", "::1"],
            vec!["::ffff:127.0.0.1", "64:ff9b::10.0.0.1"],
            vec![],
        ];
        let answers = Arc::new(Answers(std::sync::Mutex::new(answers.into_iter())));
        let resolver = guard(true, false, &[]).resolver(answers);
        let mut resolved = Vec::new();
        for _ in 0..5 {
            let answer = resolver.resolve("example.com".parse().unwrap()).await;
            resolved.push(match answer {
                Ok(addresses) => addresses.map(|address| address.ip().to_string()).collect(),
                Err(error) => vec![
                    error
                        .downcast::<AddressRefused>()
                        .unwrap()
                        .address
                        .to_string(),
                ],
            });
        }
        let expected: [&[&str]; 5] = [
            &["8.8.8.8"],
            &["10.0.0.1"],
            &["8.8.4.4"],
            &["64:ff9b::a00:1"],
            &[],
        ];
        assert_eq!(resolved, expected);
    }
}
