use larder_proxy::rules::Rules;

use super::*;

/// A made-up machine.
struct Tree {
    directory: tempfile::TempDir,
    env: Env,
}

impl Tree {
    fn new(files: &[(&str, &str)], env: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = directory.path().join(path.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { directory, env }
    }

    fn found(&self) -> Found {
        let home = Some("/home/me".to_owned());
        let told: Vec<_> = PUBLIC.iter().map(|text| text.parse().unwrap()).collect();
        let names = Names::new(&told, &[], &Rules::default());
        survey(&Machine { root: self.directory.path(), home, env: &self.env }, names)
    }

    /// Public names and mirrors, in order.
    fn pairs(&self) -> Vec<(String, String)> {
        let found = self.found();
        let pairs = found
            .proposals
            .iter()
            .flat_map(|proposal| proposal.public.iter().map(|public| (public.clone(), proposal.mirror.url.clone())));
        pairs.collect()
    }

    fn only(&self) -> Proposal {
        let found = self.found();
        assert_eq!(found.proposals.len(), 1, "{found:?}");
        found.proposals[0].clone()
    }
}

fn pair(public: &str, url: &str) -> (String, String) {
    (public.to_owned(), url.to_owned())
}

const PUBLIC: [&str; 13] = [
    "debian=deb.example.org",
    "debian-security=security.example.org",
    "ubuntu=archive.example.org",
    "ubuntu-security=security-archive.example.org",
    "pypi=pypi.example.org",
    "npm=npm.example.org",
    "cargo=index.example.org",
    "crates=crates.example.org",
    "go=goproxy.example.org",
    "maven=maven.example.org",
    "maven=maven-too.example.org",
    "docker=registry-1.docker.example.org",
    "ubuntu-ports=ports.example.org",
];

const BOOKWORM: (&str, &str) = ("/etc/os-release", "ID=debian\nVERSION_CODENAME=bookworm\n");

#[test]
fn nothing_set_proposes_nothing() {
    let tree = Tree::new(
        &[
            BOOKWORM,
            ("/etc/apt/sources.list", "deb http://deb.example.org/debian bookworm main\n"),
            ("/etc/pip.conf", "[global]\nindex-url = https://pypi.example.org/simple\n"),
            ("/home/me/.npmrc", "registry=https://npm.example.org/\n"),
            ("/etc/docker/daemon.json", "{}"),
        ],
        &[("GOPROXY", "https://goproxy.example.org,direct")],
    );
    let found = tree.found();
    assert!(found.proposals.is_empty() && found.remarks.is_empty(), "{found:?}");
}

#[test]
fn apt_in_both_forms() {
    let tree = Tree::new(
        &[
            BOOKWORM,
            (
                "/etc/apt/sources.list",
                "# deb http://old.example.net/debian bookworm main\n\
                 deb [arch=amd64] http://m.example.net/mirror/debian bookworm main contrib\n\
                 deb http://m.example.net/mirror/debian bookworm-updates main\n\
                 deb http://m.example.net/sec bookworm-security main\n\
                 deb https://apt.thirdparty.example.net/ bookworm stable\n\
                 deb [signed-by=/usr/share/keyrings/third.gpg] https://third.example.net/ bookworm main\n",
            ),
            (
                "/etc/apt/sources.list.d/more.sources",
                "Types: deb\nURIs: https://u:s3cret@a.example.net/artifactory/deb-remote\nSuites: bookworm\nComponents: main\n\
                 Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n\
                 Types: deb\nEnabled: no\nURIs: https://off.example.net/debian\nSuites: bookworm\nComponents: main\n",
            ),
            ("/etc/apt/apt.conf.d/01proxy", "Acquire::http::Proxy \"http://u:pw@cache.example.net:3142/\";\n"),
        ],
        &[],
    );
    let http = "deb.example.org/debian/";
    let security = "security.example.org/debian-security/";
    let pairs: Vec<_> = tree.pairs().into_iter().filter(|(public, _)| public == http || public == security).collect();
    assert_eq!(
        pairs,
        [
            pair(http, "http://m.example.net/mirror/debian/"),
            pair(security, "http://m.example.net/sec/"),
            pair(http, "https://a.example.net/artifactory/deb-remote/"),
        ]
    );
    let found = tree.found();
    assert_eq!(found.remarks.len(), 1);
    assert!(found.remarks[0].text.contains("the proxy http://cache.example.net:3142/"), "{:?}", found.remarks);
    let with = &found.proposals[2].mirror;
    assert_eq!((with.user.as_deref(), &with.password), (Some("u"), &Some(Secret::Env("MIRROR_PASSWORD_APT".into()))));
    assert!(!format!("{found:?}").contains("s3cret") && !format!("{found:?}").contains("pw@"));
}

#[test]
fn ubuntu_has_its_own_names_and_auth_conf_is_referred_to() {
    let tree = Tree::new(
        &[
            ("/etc/os-release", "ID=ubuntu\nVERSION_CODENAME=noble\n"),
            (
                "/etc/apt/sources.list.d/ubuntu.sources",
                "Types: deb deb-src\nURIs: https://m.example.net/ubuntu/\nSuites: noble noble-updates noble-security\n\
                 Components: main universe\nSigned-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg\n",
            ),
            ("/etc/apt/auth.conf.d/m.conf", "machine https://m.example.net/ubuntu login me password s3cret\n"),
        ],
        &[],
    );
    let publics: Vec<_> = tree.pairs().into_iter().map(|(public, _)| public).collect();
    assert_eq!(publics, ["archive.example.org/ubuntu/", "security-archive.example.org/ubuntu/",]);
    let found = tree.found();
    assert_eq!(found.proposals[0].mirror.netrc_file.as_deref(), Some(Path::new("/etc/apt/auth.conf.d/m.conf")));
}

#[test]
fn pip_by_file_and_variable_and_uv() {
    let conf = "[global]\nindex-url =\n  https://ci:p%40ss@r.example.net/artifactory/api/pypi/pypi/simple\ncert = /etc/r.pem\n";
    let tree = Tree::new(&[("/home/me/.config/pip/pip.conf", conf)], &[]);
    let only = tree.only();
    assert_eq!(only.public, ["pypi.example.org"]);
    assert_eq!(only.mirror.url, "https://r.example.net/artifactory/api/pypi/pypi/");
    assert_eq!(only.mirror.user.as_deref(), Some("ci"));
    assert_eq!(only.mirror.ca_files, [PathBuf::from("/etc/r.pem")]);
    assert_eq!(only.source, "/home/me/.config/pip/pip.conf, index-url");
    assert!(!format!("{only:?}").contains("ss@") && !format!("{only:?}").contains("p%40"));

    let tree = Tree::new(
        &[("/home/me/.netrc", "machine r.example.net login me password s3cret\n")],
        &[("PIP_INDEX_URL", "https://r.example.net/root/pypi/+simple/")],
    );
    assert_eq!(tree.pairs(), [pair("pypi.example.org/simple/", "https://r.example.net/root/pypi/+simple/")]);
    assert_eq!(tree.only().mirror.netrc_file.as_deref(), Some(Path::new("/home/me/.netrc")));

    let uv = "[[index]]\nname = \"x\"\nurl = \"https://x.example.net/simple\"\n\n[[index]]\nurl = \"https://n.example.net/repository/pypi/simple/\"\ndefault = true\n";
    let tree = Tree::new(&[("/etc/uv/uv.toml", uv)], &[]);
    assert_eq!(tree.pairs(), [pair("pypi.example.org", "https://n.example.net/repository/pypi/")]);
}

#[test]
fn npm_with_tokens_of_each_kind() {
    let table = [
        ("//r.example.net/api/npm/npm/:_authToken=${NPM_TOKEN}", Some(Secret::Env("NPM_TOKEN".into())), None),
        ("//r.example.net/:_authToken=s3cret", Some(Secret::Env("MIRROR_TOKEN_NPM".into())), None),
        ("//r.example.net/api/npm/:username=ci\n//r.example.net/api/npm/:_password=czNjcmV0", None, Some("ci")),
        ("//other.example.net/:_authToken=s3cret", None, None),
    ];
    for (lines, token, user) in table {
        let text = format!(
            "registry = https://r.example.net/api/npm/npm/\n@corp:registry=https://corp.example.net/\n{lines}\n"
        );
        let tree = Tree::new(&[("/home/me/.npmrc", &text)], &[]);
        let only = tree.only();
        assert_eq!((&only.mirror.token, only.mirror.user.as_deref()), (&token, user), "{lines}");
        assert_eq!(only.public, ["npm.example.org"]);
        let shown = format!("{:?}", tree.found());
        assert!(!shown.contains("s3cret") && !shown.contains("czNj") && shown.contains("@corp is at"), "{shown}");
    }
}

#[test]
fn cargo_with_crates_beside_the_index() {
    let text = "[source.crates-io]\nreplace-with = \"a\"\n[source.a]\nreplace-with = \"b\"\n[source.b]\n\
                registry = \"sparse+https://r.example.net/artifactory/api/cargo/crates/index/\"\n\
                [registries.own]\nindex = \"sparse+https://u:s3cret@r.example.net/own/index/\"\n";
    let tree = Tree::new(&[("/home/me/.cargo/config.toml", text)], &[]);
    assert_eq!(
        tree.pairs(),
        [
            pair("index.example.org", "https://r.example.net/artifactory/api/cargo/crates/index/"),
            pair("crates.example.org", "https://r.example.net/artifactory/api/cargo/crates/"),
        ]
    );
    let shown = format!("{:?}", tree.found());
    assert!(shown.contains("the registry own at") && !shown.contains("s3cret"), "{shown}");
    for (text, said) in [
        (
            "[source.crates-io]\nreplace-with = \"a\"\n[source.a]\nregistry = \"https://g.example.net/index\"\n",
            "in git",
        ),
        ("[source.crates-io]\nreplace-with = \"a\"\n[source.a]\ndirectory = \"vendor\"\n", "from a directory"),
        ("[source.crates-io]\nreplace-with = \"a\"\n[source.a]\nreplace-with = \"crates-io\"\n", "in a circle"),
        ("[source", "no TOML"),
    ] {
        let found = Tree::new(&[("/c/config", text)], &[("CARGO_HOME", "/c")]).found();
        assert!(found.proposals.is_empty() && found.remarks[0].text.contains(said), "{found:?}");
    }
}

#[test]
fn maven_go_and_their_secrets() {
    let settings = "<settings><!-- <mirror><id>x</id><url>https://no.example.net/</url><mirrorOf>*</mirrorOf></mirror> -->\
        <mirrors><mirror><id>corp</id><mirrorOf>*,!own</mirrorOf><url>https://r.example.net/maven?a&amp;b</url></mirror>\
        <mirror><id>other</id><mirrorOf>jboss</mirrorOf><url>https://j.example.net/</url></mirror></mirrors>\
        <servers><server><id>corp</id><username>ci</username><password>s3cret</password></server></servers></settings>";
    let tree = Tree::new(&[("/home/me/.m2/settings.xml", settings)], &[]);
    let only = tree.only();
    assert_eq!((only.public.len(), only.mirror.url.as_str()), (2, "https://r.example.net/maven/"));
    assert_eq!(
        (only.mirror.user.as_deref(), only.source.as_str()),
        (Some("ci"), "/home/me/.m2/settings.xml, mirror corp")
    );
    assert!(!format!("{only:?}").contains("s3cret"));

    let list = "https://a.example.net|https://b.example.net/api/go/go,https://goproxy.example.org,direct";
    let tree = Tree::new(&[("/home/me/.config/go/env", &format!("GOPROXY={list}\n"))], &[]);
    let go = "goproxy.example.org";
    assert_eq!(
        tree.pairs(),
        [pair(go, "https://a.example.net/"), pair(go, "https://b.example.net/api/go/go/"), pair(go, "origin")]
    );
    let tree = Tree::new(&[], &[("GOPROXY", "https://a.example.net,direct")]);
    assert_eq!(tree.pairs(), [pair(go, "https://a.example.net/")]);
}

#[test]
fn registries_of_docker_containerd_and_podman() {
    let tree = Tree::new(
        &[
            ("/etc/docker/daemon.json", r#"{"registry-mirrors":["https://one.example.net","two.example.net:5000"]}"#),
            ("/etc/docker/certs.d/two.example.net:5000/ca.crt", "PEM"),
            ("/home/me/.docker/config.json", r#"{"auths":{"one.example.net":{"auth":"dTpzM2NyZXQ="}}}"#),
        ],
        &[],
    );
    let hub = "registry-1.docker.example.org";
    assert_eq!(tree.pairs(), [pair(hub, "https://one.example.net/"), pair(hub, "https://two.example.net:5000/")]);
    let found = tree.found();
    assert_eq!(found.proposals[0].mirror.password, Some(Secret::Env("MIRROR_PASSWORD_REGISTRY".into())));
    let roots = [PathBuf::from("/etc/docker/certs.d/two.example.net:5000/ca.crt")];
    assert_eq!(found.proposals[1].mirror.ca_files, roots);
    assert!(!format!("{found:?}").contains("dTpz"));

    let hosts = "server = \"https://registry-1.docker.example.org\"\n[host.\"https://z.example.net\"]\ncapabilities = [\"pull\"]\nca = \"z.pem\"\n\
                 [host.\"https://a.example.net/v2/hub\"]\noverride_path = true\n[host.\"https://push.example.net\"]\ncapabilities = [\"push\"]\n";
    let tree = Tree::new(&[("/etc/containerd/certs.d/docker.example.org/hosts.toml", hosts)], &[]);
    assert_eq!(tree.pairs(), [pair(hub, "https://z.example.net/"), pair(hub, "https://a.example.net/v2/hub/")]);
    let roots = [PathBuf::from("/etc/containerd/certs.d/docker.example.org/z.pem")];
    assert_eq!(tree.found().proposals[0].mirror.ca_files, roots);

    let conf = "[[registry]]\nprefix = \"docker.example.org/library\"\nlocation = \"docker.example.org/library\"\n[[registry.mirror]]\nlocation = \"m.example.net/hub/library\"\n\
                [[registry]]\nlocation = \"quay.example.org\"\n[[registry.mirror]]\nlocation = \"localhost:5000\"\ninsecure = true\n\
                [[registry]]\nprefix = \"*.example.org\"\n";
    let tree = Tree::new(&[("/etc/containers/registries.conf", conf)], &[]);
    assert_eq!(
        tree.pairs(),
        [
            pair("registry-1.docker.example.org/v2/library/", "https://m.example.net/v2/hub/library/"),
            pair("quay.example.org", "http://localhost:5000/"),
        ]
    );
    assert!(tree.found().remarks[0].text.contains("is a pattern"));
}

#[test]
fn files_that_are_not_text_or_not_whole_are_no_trouble() {
    let paths = [
        "/etc/apt/sources.list",
        "/etc/apt/sources.list.d/x.sources",
        "/etc/apt/apt.conf",
        "/etc/pip.conf",
        "/home/me/.npmrc",
        "/home/me/.cargo/config.toml",
        "/home/me/.m2/settings.xml",
        "/home/me/.config/go/env",
        "/etc/docker/daemon.json",
        "/etc/containers/registries.conf",
        "/home/me/.netrc",
    ];
    for text in
        ["", "[", "{\"", "<mirror>", "deb [", "=\n:\n\"", "machine", "registry=//\u{0}\u{7f}", "Types: deb\nURIs: x"]
    {
        let files: Vec<_> = paths.iter().map(|path| (*path, text)).collect();
        let found = Tree::new(&files, &[("GOPROXY", text), ("PIP_INDEX_URL", text)]).found();
        assert!(found.proposals.is_empty(), "{text:?}: {found:?}");
    }
}

#[test]
fn what_nothing_names_is_left_open() {
    let tree = Tree::new(
        &[("/etc/pip.conf", "[global]\nindex-url = https://r.example.net/simple/\n")],
        &[("NPM_CONFIG_REGISTRY", "https://r.example.net/npm/")],
    );
    let found = |told: &[&str], cached: &[&str]| {
        let told: Vec<_> = told.iter().map(|text| text.parse().unwrap()).collect();
        let urls: Vec<_> = cached.iter().map(|url| ((*url).to_owned(), None)).collect();
        let machine = Machine { root: tree.directory.path(), home: None, env: &tree.env };
        let found = survey(&machine, Names::new(&told, &urls, &Rules::default()));
        found.proposals.into_iter().map(|one| (one.asks_for(), one.public, one.notes)).collect::<Vec<_>>()
    };
    let asks = |word: &str| Some(format!("--public {word}=HOST"));
    let npm = (asks("npm"), Vec::new(), Vec::new());
    assert_eq!(found(&[], &[]), [(asks("pypi"), Vec::new(), Vec::new()), npm.clone()]);
    let one = ["https://a.example.org/simple/six/"];
    assert_eq!(found(&[], &one)[0], (None, vec!["a.example.org".to_owned()], Vec::new()));
    // A private index that guests ask directly must not be given what is in a mirror of the public one.
    let two = [one[0], "https://r.example.net/simple/six/"];
    let several = "the cache knows several public names: a.example.org, r.example.net".to_owned();
    assert_eq!(found(&[], &two), [(asks("pypi"), Vec::new(), vec![several]), npm.clone()]);
    let told = found(&["pypi=b.example.org", "pypi=c.example.org/x/"], &two);
    assert_eq!(told[0].1, ["b.example.org", "c.example.org/x/"]);
    // A public name is no mirror.
    assert_eq!(found(&["pypi=r.example.net/pypi/"], &[]), []);
    assert_eq!(found(&[], &two[1..]), []);
}
