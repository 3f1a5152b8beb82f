use super::*;

fn rules(networks: &[&str], users: bool, either: bool) -> Admission {
    let networks = networks.iter().map(|range| Network { range: range.parse().unwrap(), label: None }).collect();
    let users = users.then(|| Arc::new(Users::parse(&crate::login::line("ci", "s3cret").unwrap()).unwrap()));
    Admission { networks, users, either, ..Admission::default() }
}

/// `in`, `login`, `403`, or `-` for no answer at all.
fn standing(rules: &Admission, address: &str) -> &'static str {
    match rules.standing(Some(address.parse::<IpAddr>().unwrap().to_canonical())) {
        Standing::Admitted { log_in: false, .. } => "in",
        Standing::Admitted { log_in: true, .. } => "login",
        Standing::Refused => "403",
        Standing::Ignored => "-",
    }
}

#[test]
fn addresses_stand_as_the_rules_say() {
    let nothing = rules(&[], false, false);
    let listed = rules(&["10.1.0.0/16", "2001:db8::/32"], false, false);
    let users = rules(&[], true, false);
    let both = rules(&["10.1.0.0/16", "198.51.100.0/24"], true, false);
    let either = rules(&["10.1.0.0/16"], true, true);
    let table = [
        // Address, and how it stands: no rules, networks, users, networks and users, networks or users.
        ("127.0.0.1", ["in", "403", "login", "403", "login"]),
        ("::1", ["in", "403", "login", "403", "login"]),
        ("10.1.2.3", ["403", "in", "login", "login", "in"]),
        ("::ffff:10.1.2.3", ["403", "in", "login", "login", "in"]),
        ("10.2.0.1", ["403", "403", "login", "403", "login"]),
        ("172.16.9.9", ["403", "403", "login", "403", "login"]),
        ("100.64.0.1", ["403", "403", "login", "403", "login"]),
        ("fd12::1", ["403", "403", "login", "403", "login"]),
        ("203.0.113.9", ["-", "-", "-", "-", "login"]),
        ("198.51.100.7", ["-", "-", "-", "login", "login"]),
        ("2001:db8::9", ["-", "in", "-", "-", "login"]),
        ("2001:db9::9", ["-", "-", "-", "-", "login"]),
    ];
    for (address, expected) in table {
        let found = [&nothing, &listed, &users, &both, &either].map(|rules| standing(rules, address));
        assert_eq!(found, expected, "{address}");
    }
}

#[test]
fn an_open_proxy_is_seen() {
    for (networks, users, either, open) in [
        (&["10.0.0.0/8"][..], false, false, false),
        (&["0.0.0.0/0"][..], false, false, true),
        (&["10.0.0.0/8", "::/0"][..], false, false, true),
        (&["0.0.0.0/0"][..], true, false, false),
        (&["0.0.0.0/0"][..], true, true, true),
        (&[][..], true, false, false),
    ] {
        assert_eq!(rules(networks, users, either).is_open(), open, "{networks:?} {users} {either}");
    }
}

#[test]
fn the_most_exact_network_names_the_client() {
    let network = |range: &str, label: &str| Network { range: range.parse().unwrap(), label: Some(label.into()) };
    let networks = vec![network("10.0.0.0/8", "office"), network("10.7.0.0/16", "fleet")];
    let gate = Gate::new(Admission { networks, ..Admission::default() });
    for (address, label) in [("10.7.1.1", "fleet"), ("10.8.1.1", "office")] {
        let Arrival::Admitted(_, found) = gate.arrive(Some(address.parse().unwrap())) else { panic!("{address}") };
        assert_eq!(found.as_deref(), Some(label));
    }
}

#[test]
fn a_client_has_so_many_connections_and_others_have_theirs() {
    let gate = Gate::new(Admission { per_client: 2, ..rules(&["10.0.0.0/8"], false, false) });
    let arrive = |address: &str| gate.arrive(Some(address.parse().unwrap()));
    let (first, _second) = (arrive("10.0.0.1"), arrive("10.0.0.1"));
    assert!(matches!(arrive("10.0.0.1"), Arrival::Refused(StatusCode::SERVICE_UNAVAILABLE, _)));
    assert!(matches!(arrive("10.0.0.2"), Arrival::Admitted(..)));
    let counts = gate.counts();
    assert_eq!((counts.open, counts.clients, counts.admitted, counts.crowded), (2, 1, 3, 1));
    drop(first);
    assert!(matches!(arrive("10.0.0.1"), Arrival::Admitted(..)));
    let answer = refusal(StatusCode::SERVICE_UNAVAILABLE, "full");
    assert_eq!(
        (&answer.headers()["retry-after"], &answer.headers()["connection"]),
        (&"5".parse().unwrap(), &"close".parse().unwrap())
    );
}

#[tokio::test]
async fn new_rules_hold_for_the_next_request_of_an_old_connection() {
    let gate = Gate::new(rules(&["10.0.0.0/8"], false, false));
    let address = Some("10.0.0.1".parse().unwrap());
    assert_eq!(gate.authorize(address, &HeaderMap::new()).await.unwrap(), None);
    gate.set(rules(&["10.0.0.0/8"], true, false));
    assert_eq!(gate.authorize(address, &HeaderMap::new()).await.unwrap_err().status(), 407);
    gate.set(rules(&["192.0.2.0/24"], false, false));
    assert_eq!(gate.authorize(address, &HeaderMap::new()).await.unwrap_err().status(), 403);
}
