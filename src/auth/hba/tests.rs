//! Which rule decides, and what refused clients are told.

use super::*;

fn rules(text: &str) -> Vec<HbaRule> {
    text.lines().filter(|line| !line.trim().is_empty()).map(|line| line.parse().unwrap()).collect()
}

fn tcp<'a>(user: &'a str, database: &'a str, address: &str) -> HbaRequest<'a> {
    HbaRequest { user, database, address: Some(address.parse().unwrap()), is_tls: false }
}

fn method(rules: &[HbaRule], request: &HbaRequest<'_>) -> Option<Method> {
    decide(rules, request).ok().map(|rule| rule.method)
}

#[test]
fn first_match_decides() {
    let rules = rules(
        "local all all trust
         host shop web,app 10.0.0.0/8 md5
         host all bad all reject
         host sameuser all ::1/128 password
         host all all 10.1.0.0/16 scram-sha-256",
    );
    assert_eq!(method(&rules, &tcp("web", "shop", "10.1.2.3")), Some(Method::Md5));
    assert_eq!(method(&rules, &tcp("app", "shop", "::ffff:10.9.9.9")), Some(Method::Md5));
    assert_eq!(method(&rules, &tcp("web", "other", "10.1.2.3")), Some(Method::ScramSha256));
    assert_eq!(method(&rules, &tcp("web", "other", "10.2.2.3")), None);
    assert_eq!(method(&rules, &tcp("bad", "shop", "10.1.2.3")), None);
    assert_eq!(method(&rules, &tcp("me", "me", "::1")), Some(Method::Password));
    assert_eq!(method(&rules, &tcp("me", "you", "::1")), None);
    let local = HbaRequest { address: None, ..tcp("bad", "shop", "::1") };
    assert_eq!(method(&rules, &local), Some(Method::Trust));
}

#[test]
fn encryption_selects_hostssl_or_hostnossl() {
    let rules = rules("hostssl all all all scram-sha-256\nhostnossl all all 127.0.0.1 trust");
    let plain = tcp("u", "d", "127.0.0.1");
    assert_eq!(method(&rules, &plain), Some(Method::Trust));
    assert_eq!(method(&rules, &HbaRequest { is_tls: true, ..plain }), Some(Method::ScramSha256));
    assert_eq!(method(&rules, &tcp("u", "d", "127.0.0.2")), None);
}

#[test]
fn refusals_are_in_postgres_words() {
    let none = decide(&[], &tcp("u", "d", "10.0.0.1")).unwrap_err();
    assert_eq!(none.code.as_str(), "28000");
    assert_eq!(
        none.message,
        r#"no pg_hba.conf entry for host "10.0.0.1", user "u", database "d", no encryption"#
    );
    let tls = HbaRequest { is_tls: true, ..tcp("u", "d", "::1") };
    let rejected = decide(&rules("host all all all reject"), &tls).unwrap_err();
    assert_eq!(
        rejected.message,
        r#"pg_hba.conf rejects connection for host "::1", user "u", database "d", SSL encryption"#
    );
    let local = decide(&[], &HbaRequest { address: None, ..tls }).unwrap_err();
    assert!(local.message.contains(r#"host "[local]""#));
}

#[test]
fn networks_have_every_prefix_length() {
    let contains = |net: &str, ip: &str| net.parse::<AddressMatch>().unwrap().contains(ip.parse().unwrap());
    assert!(contains("0.0.0.0/0", "255.1.2.3"));
    assert!(!contains("0.0.0.0/0", "::1"));
    assert!(contains("::/0", "ff::1"));
    assert!(contains("10.1.2.3/32", "10.1.2.3") && !contains("10.1.2.3/32", "10.1.2.2"));
    assert!(contains("10.1.2.2/31", "10.1.2.3") && contains("10.1.2.3/31", "10.1.2.2"));
    assert!(contains("fe80::/10", "febf::1") && !contains("fe80::/10", "fec0::1"));
    assert!(contains("::1", "::1") && !contains("::1", "::2"));
}

#[test]
fn wrong_rules_say_what_is_allowed() {
    let error = |line: &str| line.parse::<HbaRule>().unwrap_err().to_string();
    assert!(error("hots all all all trust").contains("local, host, hostssl, hostnossl"));
    assert!(error("host all all 10.0.0.0/33 trust").contains("10.0.0.0/33"));
    assert!(error("host all all ::1/129 trust").contains("::1/129"));
    assert!(error("host all all example.com trust").contains("example.com"));
    assert!(error("host all all all ident").contains("trust, reject, scram-sha-256, md5, password, cert"));
    assert!(error("host all all all md5 map=x").contains("clientcert=verify-ca"));
    assert!(error("host all +group all md5").contains("+group"));
    assert!(error("host samerole all all md5").contains("samerole"));
    assert!(error("host all all all cert").contains("hostssl"));
    assert!(error("host all all all md5 clientcert=verify-ca").contains("hostssl"));
    assert!(error("host all all").contains("type database user"));
    let rule: HbaRule = "hostssl a,b all all cert clientcert=verify-full".parse().unwrap();
    assert_eq!(rule.client_cert, ClientCert::VerifyFull);
    assert_eq!(rule.databases.len(), 2);
}
