//! Creates certificates for TLS servers and clients.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tempfile::TempDir;

/// Owns PEM files with two certificate authorities and what they have signed.
/// Dropping it removes the files.
#[derive(Debug)]
pub struct Certificates {
    folder: TempDir,
}

/// Names a certificate's PEM files.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The authority that signed it.
    pub ca: PathBuf,
    /// The certificate.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

const CA: &str = "ca";
const FOREIGN_CA: &str = "foreign-ca";
const SERVER: &str = "server";
const MISNAMED: &str = "misnamed";
const CLIENT: &str = "client";
const FOREIGN_CLIENT: &str = "foreign-client";

impl Certificates {
    /// Makes the certificates, each with a key of its own.
    ///
    /// # Panics
    ///
    /// Panics when the temporary folder cannot be written.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "it writes files to the disk, which no default value should do"
    )]
    pub fn new() -> Certificates {
        match Certificates::make() {
            Ok(made) => made,
            Err(cause) => panic!("failed to make certificates: {cause}"),
        }
    }

    fn make() -> Result<Certificates, Box<dyn std::error::Error>> {
        let folder = tempfile::Builder::new().prefix("stockade-certificates-").tempdir()?;
        let path = folder.path();
        let ours = Authority::make(path, CA)?;
        let foreign = Authority::make(path, FOREIGN_CA)?;
        let (server, client) =
            (ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth);
        // The nodes of a cluster are each other's clients.
        let both = [server.clone(), client.clone()];
        ours.sign(path, SERVER, &["localhost", "127.0.0.1"], &both)?;
        ours.sign(path, MISNAMED, &["elsewhere.example"], &[server])?;
        ours.sign(path, CLIENT, &[], std::slice::from_ref(&client))?;
        foreign.sign(path, FOREIGN_CLIENT, &[], &[client])?;
        Ok(Certificates { folder })
    }

    /// Returns the certificate of the authority that signed the servers' and the
    /// client's.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        cert_path(self.folder.path(), CA)
    }

    /// Returns the certificate of an authority that signed no server's.
    #[must_use]
    pub fn foreign_ca(&self) -> PathBuf {
        cert_path(self.folder.path(), FOREIGN_CA)
    }

    /// Returns what a server on this machine shows: a certificate for
    /// `localhost` and 127.0.0.1.
    #[must_use]
    pub fn server(&self) -> Identity {
        self.identity(SERVER, CA)
    }

    /// Returns a server's certificate for `elsewhere.example` alone.
    #[must_use]
    pub fn misnamed(&self) -> Identity {
        self.identity(MISNAMED, CA)
    }

    /// Returns what a client shows that servers let in.
    #[must_use]
    pub fn client(&self) -> Identity {
        self.identity(CLIENT, CA)
    }

    /// Returns what a client shows that was signed by the foreign authority.
    #[must_use]
    pub fn foreign_client(&self) -> Identity {
        self.identity(FOREIGN_CLIENT, FOREIGN_CA)
    }

    fn identity(&self, name: &str, ca: &str) -> Identity {
        let folder = self.folder.path();
        let (ca, cert) = (cert_path(folder, ca), cert_path(folder, name));
        Identity { ca, cert, key: key_path(folder, name) }
    }
}

impl Identity {
    /// Returns the flags that make a MariaDB or MySQL server use it.
    #[must_use]
    pub fn sql_flags(&self) -> [String; 3] {
        [("ca", &self.ca), ("cert", &self.cert), ("key", &self.key)]
            .map(|(name, path)| format!("--ssl-{name}={}", path.display()))
    }

    /// The flags that make a Redis server use it.
    pub(crate) fn redis_flags(&self) -> [String; 6] {
        let [ca, cert, key] = [&self.ca, &self.cert, &self.key].map(|p| p.display().to_string());
        let [ca_flag, cert_flag, key_flag] =
            ["--tls-ca-cert-file", "--tls-cert-file", "--tls-key-file"].map(str::to_owned);
        [ca_flag, ca, cert_flag, cert, key_flag, key]
    }
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn make(folder: &Path, name: &str) -> Result<Authority, Box<dyn std::error::Error>> {
        let mut params = named(name, &[])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        fs::write(cert_path(folder, name), params.self_signed(&key)?.pem())?;
        Ok(Authority { issuer: Issuer::new(params, key) })
    }

    fn sign(
        &self,
        folder: &Path,
        name: &str,
        hosts: &[&str],
        purposes: &[ExtendedKeyUsagePurpose],
    ) -> Result<(), Box<dyn std::error::Error>> {
        let mut params = named(name, hosts)?;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = purposes.to_vec();
        let key = KeyPair::generate()?;
        fs::write(cert_path(folder, name), params.signed_by(&key, &self.issuer)?.pem())?;
        fs::write(key_path(folder, name), key.serialize_pem())?;
        Ok(())
    }
}

/// What a certificate of this name says, for these hosts.
fn named(name: &str, hosts: &[&str]) -> Result<CertificateParams, rcgen::Error> {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("Stockade test {name}"));
    Ok(params)
}

fn cert_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.pem"))
}

fn key_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}-key.pem"))
}
