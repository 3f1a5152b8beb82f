//! A key of the test's own, and signatures by it that are good or bad on purpose.

use pgp::composed::{
    ArmorOptions, CleartextSignedMessage, DetachedSignature, EncryptionCaps, KeyType, SecretKeyParamsBuilder,
    SignedPublicKey, SignedSecretKey, SubkeyParamsBuilder,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{KeyFlags, Signature, SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::ser::Serialize as _;
use pgp::types::{Duration, Password, SigningKey, Tag, Timestamp};

use crate::builder::rootfs::debian::spec::Keyring;

/// A certificate with a primary key that may sign, and a subkey that may.
pub(crate) struct Key {
    pub(crate) secret: SignedSecretKey,
    pub(crate) public: SignedPublicKey,
}

/// How a signature is made.
#[derive(Clone, Copy)]
pub(crate) struct How {
    pub(crate) by_subkey: bool,
    pub(crate) hash: HashAlgorithm,
    /// Seconds from now.
    pub(crate) created: i64,
    pub(crate) lifetime: Option<u32>,
}

impl Default for How {
    fn default() -> Self {
        Self { by_subkey: true, hash: HashAlgorithm::Sha512, created: -60, lifetime: None }
    }
}

pub(crate) fn ago(seconds: i64) -> Timestamp {
    Timestamp::from_secs(u32::try_from(i64::from(Timestamp::now().as_secs()) - seconds).unwrap())
}

impl Key {
    pub(crate) fn new() -> Self {
        Self::of(KeyType::Ed25519Legacy)
    }

    /// With a primary key of another kind.
    pub(crate) fn of(kind: KeyType) -> Self {
        let subkey = SubkeyParamsBuilder::default()
            .key_type(KeyType::Ed25519Legacy)
            .can_sign(true)
            .can_encrypt(EncryptionCaps::None)
            .created_at(ago(86_400))
            .build()
            .unwrap();
        let secret = SecretKeyParamsBuilder::default()
            .key_type(kind)
            .can_certify(true)
            .can_sign(true)
            .created_at(ago(86_400))
            .primary_user_id("Test archive <archive@example.org>".into())
            .subkeys(vec![subkey])
            .build()
            .unwrap()
            .generate(rand::thread_rng())
            .unwrap();
        let public = SignedPublicKey::from(secret.clone());
        Self { secret, public }
    }

    pub(crate) fn keyring(&self) -> Keyring {
        Keyring { origin: "test.gpg".into(), path: None, bytes: self.public.to_bytes().unwrap() }
    }

    pub(crate) fn armoured(&self) -> Vec<u8> {
        self.public.to_armored_bytes(ArmorOptions::default()).unwrap()
    }

    /// The document with a signature around it.
    pub(crate) fn clearsign(&self, text: &str, how: How) -> Vec<u8> {
        let signed = if how.by_subkey {
            let key = &self.secret.secret_subkeys[0].key;
            CleartextSignedMessage::new(text, config(key, SignatureType::Text, how), key, &Password::empty())
        } else {
            let key = &self.secret.primary_key;
            CleartextSignedMessage::new(text, config(key, SignatureType::Text, how), key, &Password::empty())
        };
        signed.unwrap().to_armored_bytes(ArmorOptions::default()).unwrap()
    }

    /// The signature alone.
    pub(crate) fn detached(&self, text: &str, how: How) -> Vec<u8> {
        let key = &self.secret.primary_key;
        let signature = config(key, SignatureType::Binary, how).sign(key, &Password::empty(), text.as_bytes()).unwrap();
        DetachedSignature::new(signature).to_armored_bytes(ArmorOptions::default()).unwrap()
    }

    /// Replaces what the primary key says of itself: a lifetime in seconds from its creation, and whether it may sign.
    pub(crate) fn certify(&mut self, lifetime: Option<u32>, may_sign: bool) {
        let key = &self.secret.primary_key;
        let mut config = config(key, SignatureType::CertPositive, How { created: -30, ..How::default() });
        let mut flags = KeyFlags::default();
        flags.set_certify(true);
        flags.set_sign(may_sign);
        config.hashed_subpackets.push(Subpacket::regular(SubpacketData::KeyFlags(flags)).unwrap());
        config.hashed_subpackets.extend(lifetime.map(key_lifetime));
        let id = self.public.details.users[0].id.clone();
        let made = config.sign_certification(key, key.public_key(), &Password::empty(), Tag::UserId, &id).unwrap();
        self.public.details.users[0].signatures = vec![made];
    }

    /// Revokes the primary key.
    pub(crate) fn revoke(&mut self) {
        let key = &self.secret.primary_key;
        let config = config(key, SignatureType::KeyRevocation, How::default());
        let made = config.sign_key(key, &Password::empty(), key.public_key()).unwrap();
        self.public.details.revocation_signatures.push(made);
    }

    /// A signature of the primary key over the subkey: a binding, with or without one back, or a revocation.
    pub(crate) fn over_subkey(
        &self,
        kind: SignatureType,
        may_sign: bool,
        back: bool,
        lifetime: Option<u32>,
    ) -> Signature {
        let (primary, subkey) = (&self.secret.primary_key, &self.secret.secret_subkeys[0].key);
        let mut config = config(primary, kind, How::default());
        let mut flags = KeyFlags::default();
        flags.set_sign(may_sign);
        config.hashed_subpackets.push(Subpacket::regular(SubpacketData::KeyFlags(flags)).unwrap());
        config.hashed_subpackets.extend(lifetime.map(key_lifetime));
        if back {
            let made = self::config(subkey, SignatureType::KeyBinding, How::default())
                .sign_primary_key_binding(subkey, subkey.public_key(), &Password::empty(), primary.public_key())
                .unwrap();
            config
                .hashed_subpackets
                .push(Subpacket::regular(SubpacketData::EmbeddedSignature(Box::new(made))).unwrap());
        }
        config.sign_subkey_binding(primary, primary.public_key(), &Password::empty(), subkey.public_key()).unwrap()
    }
}

fn key_lifetime(seconds: u32) -> Subpacket {
    Subpacket::regular(SubpacketData::KeyExpirationTime(Duration::from_secs(seconds))).unwrap()
}

fn config(key: &impl SigningKey, kind: SignatureType, how: How) -> SignatureConfig {
    let mut config = SignatureConfig::v4(kind, key.algorithm(), how.hash);
    let data = [
        Some(SubpacketData::SignatureCreationTime(ago(-how.created))),
        Some(SubpacketData::IssuerFingerprint(key.fingerprint())),
        how.lifetime.map(|lifetime| SubpacketData::SignatureExpirationTime(Duration::from_secs(lifetime))),
    ];
    config.hashed_subpackets = data.into_iter().flatten().map(|data| Subpacket::regular(data).unwrap()).collect();
    config
}
