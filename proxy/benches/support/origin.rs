//! nginx: the origin behind the proxies, and what they are measured against.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};

use crate::Result;
use crate::process::{Running, Start, free_port};

/// A certificate authority, its files as proxies want them.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        params.distinguished_name.push(rcgen::DnType::CommonName, "Authority of a benchmark");
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)? })
    }

    pub(crate) fn certificate(&self) -> String {
        self.issuer.pem()
    }

    pub(crate) fn key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Certificate and key of `localhost`: P-256, as all keys here.
    fn localhost(&self) -> Result<(String, String)> {
        let key = KeyPair::generate()?;
        let params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        Ok((params.signed_by(&key, &self.issuer)?.pem(), key.serialize_pem()))
    }
}

pub(crate) struct Origin {
    pub(crate) running: Running,
    /// Where files to serve lie.
    pub(crate) www: PathBuf,
    pub(crate) plain: u16,
    pub(crate) tls: u16,
    pub(crate) authority: Authority,
    /// The authority's certificate.
    pub(crate) ca_file: PathBuf,
}

impl Origin {
    /// All paths below `/big/` are the file `big`, all below `/any/` the file of 1 KB, and below `/new/` 64 KB that
    /// begin with the path: bodies that are alike would be stored once.
    pub(crate) async fn start(folder: &Path) -> Result<Self> {
        let (plain, tls) = (free_port()?, free_port()?);
        let authority = Authority::new()?;
        let www = folder.join("www");
        fs::create_dir_all(&www)?;
        let (certificate, key) = authority.localhost()?;
        let ca_file = folder.join("ca.pem");
        fs::write(&ca_file, authority.certificate())?;
        fs::write(folder.join("cert.pem"), certificate)?;
        fs::write(folder.join("key.pem"), key)?;
        let place = folder.display();
        let text = format!(
            "worker_processes auto; daemon off; pid {place}/pid; error_log {place}/error;\n\
             worker_rlimit_nofile 20000;\n\
             events {{ worker_connections 16384; }}\n\
             http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; keepalive_timeout 600s;\n\
             client_body_temp_path {place}/t1; proxy_temp_path {place}/t2; fastcgi_temp_path {place}/t3;\n\
             uwsgi_temp_path {place}/t4; scgi_temp_path {place}/t5;\n\
             default_type application/octet-stream; add_header Cache-Control \"public, max-age=86400\";\n\
             server {{ listen 127.0.0.1:{plain} backlog=4096; listen 127.0.0.1:{tls} ssl backlog=4096; root {www};\n\
             ssl_certificate {place}/cert.pem; ssl_certificate_key {place}/key.pem; ssl_protocols TLSv1.2 TLSv1.3;\n\
             ssl_session_cache shared:SSL:10m;\n\
             location /big/ {{ try_files /big =404; }}\n\
             location /any/ {{ try_files /1k_1.0_all.deb =404; }}\n\
             location /new/ {{ set $k {kilobyte}; set $e $k$k$k$k$k$k$k$k; return 200 $uri$e$e$e$e$e$e$e$e; }}\n\
             location = /requests {{ stub_status; }} }} }}\n",
            www = www.display(),
            kilobyte = ".".repeat(1024)
        );
        fs::write(folder.join("nginx.conf"), text)?;
        // Its workers would outlive a master that is killed; in a namespace of their own they end with it.
        let alone = ["unshare", "--pid", "--fork", "--kill-child", "--"];
        let nginx = ["nginx", "-c", &format!("{place}/nginx.conf"), "-e", &format!("{place}/early")];
        let command = [&alone[..], &nginx].concat();
        let command = command.into_iter().map(str::to_owned).collect();
        let mut running = Start { name: "nginx", command, user: None, env: Vec::new(), folder }.run()?;
        running.listens(plain).await?;
        Ok(Self { running, www, plain, tls, authority, ca_file })
    }
}
