//! The exchange of RFC 7677, both sides against each other, and everything that must not pass.

use super::client::{ITERATIONS_MAX, ScramClient, ScramClientError, ScramCredential};
use super::keys::{ScramKeys, ScramVerifier};
use super::server::{AwaitingProof, ScramError, ScramServer, UserState, mechanisms};
use super::{ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS};
use crate::auth::Secret;
use crate::error::SqlError;
use base64::prelude::{BASE64_STANDARD, Engine};
use proptest::prelude::*;

const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const CLIENT_FIRST: &[u8] = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const SERVER_FIRST: &str =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const CLIENT_FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                            p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const SERVER_FINAL: &[u8] = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

fn rfc_verifier() -> ScramVerifier {
    let salt = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    ScramVerifier::from_password(b"pencil", &salt, 4096)
}

/// A cheap one, for tests of messages.
fn verifier() -> ScramVerifier {
    ScramVerifier::from_password(b"pencil", b"salt", 2)
}

fn challenge(mechanism: &str, binding: &ChannelBinding, message: &[u8]) -> Result<AwaitingProof, SqlError> {
    let verifier = verifier();
    let server = ScramServer { verifier: &verifier, user: UserState::Known, binding, nonce: SERVER_NONCE };
    server.challenge(mechanism.as_bytes(), message)
}

fn plain(message: &[u8]) -> Result<AwaitingProof, SqlError> {
    challenge(SCRAM_SHA_256, &ChannelBinding::NoTls, message)
}

fn bound() -> ChannelBinding {
    ChannelBinding::ServerEndPoint((*b"hash of the certificate").into())
}

fn assert_refused<T: std::fmt::Debug>(result: Result<T, SqlError>, code: &str, text: &str) {
    let error = result.unwrap_err();
    let whole = format!("{} / {}", error.message, error.detail.clone().unwrap_or_default());
    assert_eq!(error.code.as_str(), code, "{whole}");
    assert!(whole.contains(text), "{whole}");
}

/// Runs both sides; the verifier is the server's, `credential` the client's.
fn run(
    verifier: &ScramVerifier,
    credential: ScramCredential<'_>,
    client_binding: &ChannelBinding,
    server_binding: &ChannelBinding,
) -> Result<ScramKeys, ScramError> {
    let client =
        ScramClient::start(mechanisms(server_binding), client_binding, "clientnonce".to_owned()).unwrap();
    let server =
        ScramServer { verifier, user: UserState::Known, binding: server_binding, nonce: SERVER_NONCE };
    let challenged = server.challenge(client.mechanism().as_bytes(), client.first_message().as_bytes())?;
    let proof = client.prove(challenged.server_first(), credential).unwrap();
    let (server_final, keys) = challenged.verify(proof.final_message())?;
    proof.verify(&server_final).unwrap();
    Ok(keys)
}

#[test]
fn server_side_is_the_one_of_rfc_7677() {
    let verifier = rfc_verifier();
    let binding = ChannelBinding::NoTls;
    let server =
        ScramServer { verifier: &verifier, user: UserState::Known, binding: &binding, nonce: SERVER_NONCE };
    let challenged = server.challenge(SCRAM_SHA_256.as_bytes(), CLIENT_FIRST).unwrap();
    assert_eq!(challenged.server_first(), SERVER_FIRST.as_bytes());
    let (server_final, keys) = challenged.verify(CLIENT_FINAL.as_bytes()).unwrap();
    assert_eq!(server_final, SERVER_FINAL);
    assert_eq!(keys, ScramKeys::derive(b"pencil", &verifier.salt, 4096));
}

#[test]
fn verifiers_made_by_postgres_15_are_read_and_made_alike() {
    // Made by CREATE ROLE ... PASSWORD: plain, needing NFKC, and with characters mapped to nothing.
    let made = [
        (
            "pencil",
            "SCRAM-SHA-256$4096:g3afnBxxfu43vmi3XvOsqQ==$AxQ59anI8W1r6ascpFdYCA2R4iwtTLRJAPkQAVKbb0k=:\
             UASQPVw2vzzEKGLOhaixig4h6xFYCNv5t3xi1r1MJq4=",
        ),
        (
            "pässword☃",
            "SCRAM-SHA-256$4096:x4+5I6dXvizL4bo90eSKzw==$fe+CyE+urrsO4KMKcqA8KNvcFR+UJP9jtkPqwVuqrLw=:\
             vbPd6P0LhP0LJn6uXTeTP6m3gm8taQ1hgaSgTnWRsqU=",
        ),
        (
            "\u{ad}\u{2168}x",
            "SCRAM-SHA-256$4096:nMjY2UY6d21iwMgYvcWpXQ==$59U1cFPLFjOvWaURp5PlgyD9EZq7K6urCLav/ovEjr0=:\
             ae3gvFcc4Xu+BHQp41GXzD6gVwziCC76NbluTo6+8ms=",
        ),
    ];
    for (password, stored) in made {
        let verifier = ScramVerifier::parse(stored).unwrap();
        assert_eq!(verifier.to_stored(), stored);
        assert_eq!(ScramVerifier::from_password(password.as_bytes(), &verifier.salt, 4096), verifier);
        assert!(verifier.check_password(password.as_bytes()).is_some());
        assert!(verifier.check_password(b"other").is_none());
    }
}

#[test]
fn verifiers_of_another_shape_are_not_read() {
    let good = verifier().to_stored();
    for bad in [
        "",
        "pencil",
        "SCRAM-SHA-256$",
        &good.replace("$2:", "$0:"),
        &good.replace("$2:", "$-2:"),
        &good.replace("$2:", "$x:"),
        &good.replacen(':', "", 1),
        &good.replace("SCRAM-SHA-256", "SCRAM-SHA-512"),
        &format!("{good}$x"),
        &good[..good.len() - 4],
        &format!("{good}AAAA"),
    ] {
        assert_eq!(ScramVerifier::parse(bad), None, "{bad}");
    }
}

#[test]
fn passwords_that_saslprep_cannot_take_are_used_as_they_are() {
    let raw = ScramKeys::derive(b"\xff\xfe", b"salt", 2);
    assert_ne!(raw, ScramKeys::derive(b"", b"salt", 2));
    // A prohibited character (U+0007) keeps the rest from being normalized.
    let prohibited = "\u{7}\u{2168}";
    assert_ne!(
        ScramKeys::derive(prohibited.as_bytes(), b"salt", 2),
        ScramKeys::derive("\u{7}IX".as_bytes(), b"salt", 2)
    );
}

#[test]
fn password_and_recovered_keys_both_log_in() {
    let verifier = verifier();
    let password = Secret::from("pencil");
    let no_tls = ChannelBinding::NoTls;
    let keys = run(&verifier, ScramCredential::Password(&password), &no_tls, &no_tls).unwrap();
    assert_eq!(run(&verifier, ScramCredential::Keys(&keys), &bound(), &bound()).unwrap(), keys);
    let undefined = ChannelBinding::Undefined;
    assert!(run(&verifier, ScramCredential::Keys(&keys), &undefined, &undefined).is_ok());
    // A server whose certificate has no hash makes a willing client say `y`, which is no downgrade.
    assert!(run(&verifier, ScramCredential::Keys(&keys), &bound(), &undefined).is_ok());
}

#[test]
fn wrong_password_and_unknown_user_fail_alike() {
    let verifier = verifier();
    let no_tls = ChannelBinding::NoTls;
    let wrong = Secret::from("pen");
    let failure = run(&verifier, ScramCredential::Password(&wrong), &no_tls, &no_tls);
    assert_eq!(failure.unwrap_err(), ScramError::WrongProof);

    let server =
        ScramServer { verifier: &verifier, user: UserState::Doomed, binding: &no_tls, nonce: SERVER_NONCE };
    let client = ScramClient::start(mechanisms(&no_tls), &no_tls, "x".to_owned()).unwrap();
    let challenged = server.challenge(b"SCRAM-SHA-256", client.first_message().as_bytes()).unwrap();
    let right = Secret::from("pencil");
    let proof = client.prove(challenged.server_first(), ScramCredential::Password(&right)).unwrap();
    assert_eq!(challenged.verify(proof.final_message()).unwrap_err(), ScramError::WrongProof);
}

#[test]
fn mock_verifiers_are_stable_per_user_and_look_real() {
    let mock = ScramVerifier::mock("nobody", &[7; 32]);
    assert_eq!(mock, ScramVerifier::mock("nobody", &[7; 32]));
    assert_ne!(mock.salt, ScramVerifier::mock("nobody2", &[7; 32]).salt);
    assert_ne!(mock.salt, ScramVerifier::mock("nobody", &[8; 32]).salt);
    assert_eq!((mock.salt.len(), mock.iterations), (16, 4096));
}

#[test]
fn only_offered_mechanisms_are_taken() {
    let text = "client selected an invalid SASL authentication mechanism";
    assert_refused(challenge("SCRAM-SHA-1", &ChannelBinding::NoTls, CLIENT_FIRST), "08P01", text);
    assert_refused(challenge(SCRAM_SHA_256_PLUS, &ChannelBinding::NoTls, CLIENT_FIRST), "08P01", text);
    assert_refused(challenge(SCRAM_SHA_256_PLUS, &ChannelBinding::Undefined, CLIENT_FIRST), "08P01", text);
    assert!(challenge(SCRAM_SHA_256, &bound(), CLIENT_FIRST).is_ok());
    let offered = |mechanisms: &[u8], binding: &ChannelBinding| {
        ScramClient::start(mechanisms, binding, "x".to_owned()).map(|client| client.mechanism())
    };
    assert_eq!(offered(b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0", &bound()), Ok(SCRAM_SHA_256_PLUS));
    assert_eq!(offered(b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0", &ChannelBinding::NoTls), Ok(SCRAM_SHA_256));
    assert_eq!(offered(b"SCRAM-SHA-256-PLUS\0\0", &ChannelBinding::NoTls), Err(ScramClientError::Mechanism));
    assert_eq!(offered(b"OTHER\0\0", &bound()), Err(ScramClientError::Mechanism));
    assert_eq!(offered(b"", &bound()), Err(ScramClientError::Mechanism));
}

#[test]
fn malformed_first_messages_are_refused_in_postgres_words() {
    for (message, code, text) in [
        (&b""[..], "08P01", "The message is empty."),
        (b"n,,n=,r=a\0b", "08P01", "Message length does not match input length."),
        (b"\xff,,", "08P01", "not valid UTF-8"),
        (b"xyz", "08P01", "Unexpected channel-binding flag \"'x'\"."),
        (b"\x01yz", "08P01", "Unexpected channel-binding flag \"0x01\"."),
        (b"nn", "08P01", "Comma expected, but found character \"'n'\"."),
        (b"n", "08P01", "Comma expected, but found character \"0x00\"."),
        (b"p=tls-server-end-point,,n=,r=x", "08P01", "without channel binding, but the SCRAM message"),
        (b"n,a=x", "0A000", "client uses authorization identity"),
        (b"n,x", "08P01", "Unexpected attribute \"'x'\" in client-first-message."),
        (b"n,,m=x", "0A000", "client requires an unsupported SCRAM extension"),
        (b"n,,x=", "08P01", "Expected attribute \"n\" but found \"'x'\"."),
        (b"n,,n", "08P01", "Expected character \"=\" for attribute \"n\"."),
        (b"n,,n=", "08P01", "Expected attribute \"r\" but found \"0x00\"."),
        (b"n,,n=,r=\x01", "08P01", "non-printable characters in SCRAM nonce"),
        (b"n,,n=,r=x,!=", "08P01", "Attribute expected, but found invalid character \"'!'\"."),
        (b"n,,n=,r=x,a", "08P01", "Expected character \"=\" for attribute \"a\"."),
    ] {
        assert_refused(plain(message), code, text);
    }
    assert!(plain(b"n,,n=user,r=x,e=extension").is_ok());
    assert!(plain(b"y,,n=,r=x").is_ok());
}

#[test]
fn downgrade_of_channel_binding_is_noticed() {
    assert_refused(
        challenge(SCRAM_SHA_256, &bound(), b"y,,n=,r=x"),
        "28000",
        "SCRAM channel binding negotiation error",
    );
    for message in [&b"n,,n=,r=x"[..], b"y,,n=,r=x"] {
        assert_refused(
            challenge(SCRAM_SHA_256_PLUS, &bound(), message),
            "08P01",
            "selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data",
        );
    }
    assert_refused(
        challenge(SCRAM_SHA_256_PLUS, &bound(), b"p=tls-unique,,n=,r=x"),
        "08P01",
        "unsupported SCRAM channel-binding type \"tls-unique\"",
    );
}

#[test]
fn another_certificate_fails_the_channel_binding() {
    let password = Secret::from("pencil");
    let other = ChannelBinding::ServerEndPoint((*b"hash of another one").into());
    let error = run(&verifier(), ScramCredential::Password(&password), &other, &bound()).unwrap_err();
    let ScramError::Protocol(error) = error else { panic!("{error:?}") };
    assert_eq!((error.code.as_str(), &*error.message), ("28000", "SCRAM channel binding check failed"));
}

#[test]
fn malformed_final_messages_are_refused_in_postgres_words() {
    let challenged = plain(b"n,,n=,r=abc").unwrap();
    let nonce = format!("abc{SERVER_NONCE}");
    let proof = BASE64_STANDARD.encode([0; 32]);
    for (message, text) in [
        (String::new(), "The message is empty."),
        ("r=x".to_owned(), "Expected attribute \"c\""),
        (format!("c=eSws,r={nonce},p={proof}"), "unexpected SCRAM channel-binding attribute"),
        (format!("c=x,r={nonce},p={proof}"), "unexpected SCRAM channel-binding attribute"),
        ("c=biws,x=".to_owned(), "Expected attribute \"r\""),
        (format!("c=biws,r={nonce}"), "found end of string"),
        (format!("c=biws,r={nonce},x=y"), "found end of string"),
        (format!("c=biws,r={nonce},p=???"), "Malformed proof"),
        (format!("c=biws,r={nonce},p=AAAA"), "Malformed proof"),
        (format!("c=biws,r={nonce},p="), "Malformed proof"),
        (format!("c=biws,r={nonce},p={proof},x=y"), "Garbage found at the end"),
        (format!("c=biws,r=abc,p={proof}"), "Nonce does not match."),
        (format!("c=biws,r={nonce}x,p={proof}"), "Nonce does not match."),
    ] {
        match challenged.verify(message.as_bytes()) {
            Err(ScramError::Protocol(error)) => assert_refused::<()>(Err(error), "08P01", text),
            other => panic!("{message}: {other:?}"),
        }
    }
    let well_formed = format!("c=biws,r={nonce},x=y,p={proof}");
    assert_eq!(challenged.verify(well_formed.as_bytes()).unwrap_err(), ScramError::WrongProof);
}

#[test]
fn client_refuses_challenges_that_cannot_be() {
    let client = ScramClient::start(b"SCRAM-SHA-256\0\0", &ChannelBinding::NoTls, "abc".to_owned()).unwrap();
    assert_eq!(client.first_message(), "n,,n=,r=abc");
    let password = Secret::from("pencil");
    let prove = |challenge: &str| {
        client.prove(challenge.as_bytes(), ScramCredential::Password(&password)).map(|_| ())
    };
    assert_eq!(prove("r=abcd,s=AAAA,i=1"), Ok(()));
    assert_eq!(prove("r=abc,s=AAAA,i=1"), Err(ScramClientError::Nonce));
    assert_eq!(prove("r=xabc,s=AAAA,i=1"), Err(ScramClientError::Nonce));
    assert_eq!(prove(&format!("r=abcd,s=AAAA,i={}", ITERATIONS_MAX + 1)), Err(ScramClientError::Iterations));
    for bad in ["", "e=other-error", "r=abcd", "r=abcd,s=?,i=1", "r=abcd,s=AAAA,i=0", "r=abcd,s=AAAA,i=-1"] {
        assert_eq!(prove(bad), Err(ScramClientError::Challenge), "{bad}");
    }
}

#[test]
fn client_refuses_a_server_that_does_not_know_the_verifier() {
    let client = ScramClient::start(b"SCRAM-SHA-256\0\0", &ChannelBinding::NoTls, "abc".to_owned()).unwrap();
    let keys = ScramKeys { client_key: [1; 32], server_key: [2; 32] };
    let proof = client.prove(b"r=abcd,s=AAAA,i=1", ScramCredential::Keys(&keys)).unwrap();
    let zeros = format!("v={}", BASE64_STANDARD.encode([0; 32]));
    for bad in ["", "v=", "v=?", "e=other-error", &zeros] {
        assert_eq!(proof.verify(bad.as_bytes()), Err(ScramClientError::Signature), "{bad}");
    }
}

#[test]
fn no_secret_prints() {
    let keys = ScramKeys { client_key: [1; 32], server_key: [2; 32] };
    assert_eq!(format!("{keys:?}"), "ScramKeys(***)");
    assert_eq!(format!("{:?}", verifier()), "ScramVerifier(***)");
    let password = Secret::from("pencil");
    assert!(!format!("{:?}", ScramCredential::Password(&password)).contains("pencil"));
}

proptest! {
    #[test]
    fn no_bytes_panic_the_server(
        first in prop::collection::vec(any::<u8>(), 0..80),
        last in "(c=biws,)?(r=abc)?[ -~]{0,60}(,p=[A-Za-z0-9+/=]{0,50})?",
        header in "(n|y|p=tls-server-end-point),,?",
    ) {
        let _any = plain(&first);
        let _any = challenge(SCRAM_SHA_256_PLUS, &bound(), &first);
        let _any = plain(&[header.as_bytes(), &first].concat());
        let challenged = plain(b"n,,n=,r=abc").unwrap();
        let _any = challenged.verify(&first);
        prop_assert!(challenged.verify(last.as_bytes()).is_err());
    }

    #[test]
    fn no_bytes_panic_the_client(challenge in "(r=abc)?[ -~]{0,20}(,s=[A-Za-z0-9=]{0,9})?(,i=[0-9]{1,3})?") {
        let client =
            ScramClient::start(b"SCRAM-SHA-256\0\0", &ChannelBinding::NoTls, "abc".to_owned()).unwrap();
        let password = Secret::from("pencil");
        let _any = client.prove(challenge.as_bytes(), ScramCredential::Password(&password));
    }

    #[test]
    fn no_text_panics_the_verifier(text in "(SCRAM-SHA-256\\$)?[ -~]{0,90}") {
        let _any = ScramVerifier::parse(&text);
    }
}
