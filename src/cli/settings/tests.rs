use larder_proxy::upstream::auth::Scheme;

use super::mirrors::{MirrorSetting, Secret};
use super::proxy_login::PasswordPlace;
use super::*;

/// A home and a project in a temporary directory.
struct Setup {
    dir: tempfile::TempDir,
    env: BTreeMap<String, String>,
}

impl Setup {
    fn new(user: &str, project: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in [("home/.config/larder/config.toml", user), ("project/larder.toml", project)] {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            if !text.is_empty() {
                std::fs::write(path, text).unwrap();
            }
        }
        std::fs::create_dir_all(dir.path().join("project/deep")).unwrap();
        let home = dir.path().join("home").to_str().unwrap().to_owned();
        Self { dir, env: BTreeMap::from([("HOME".to_owned(), home)]) }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn load(&self, flags: &[(&str, &str)]) -> Result<Settings> {
        let flags: Vec<(&str, String)> = flags.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
        load(Inputs { env: &self.env, cwd: &self.path("project/deep"), flags: &flags, home: None })
    }

    fn error(&self) -> String {
        let error = self.load(&[]).unwrap_err();
        let hints = error.hints().join("; ");
        format!("{error} ({hints})").replace(self.dir.path().to_str().unwrap(), "")
    }
}

#[test]
fn defaults_are_xdg_directories() {
    let mut setup = Setup::new("", "");
    let settings = setup.load(&[]).unwrap();
    assert_eq!(settings.cache_dir, Sourced { value: setup.path("home/.cache/larder"), source: Source::Default });
    assert_eq!(settings.state_dir.value, setup.path("home/.local/state/larder"));
    assert_eq!(settings.net.value, Net::Cache);
    setup.env.insert("XDG_CACHE_HOME".into(), "/var/big".into());
    setup.env.insert("XDG_STATE_HOME".into(), "relative/is/ignored".into());
    let settings = setup.load(&[]).unwrap();
    assert_eq!(settings.cache_dir.value, Path::new("/var/big/larder"));
    assert_eq!(settings.state_dir.value, setup.path("home/.local/state/larder"));
    setup.env.clear();
    assert!(setup.load(&[]).unwrap_err().to_string().contains("no home directory"));
}

#[test]
fn a_higher_source_wins_and_is_named() {
    let mut setup = Setup::new(
        "net = \"offline\"\nparallel_builds = 2\nui = \"json\"\ncache_dir = \"~/c\"\nca_files = [\"roots.pem\", \"/r\"]\n\
         log = \"info\"\n[cache]\nmax_size = \"20G\"\n[mirrors]\n\"a.example.org\" = \"http://b.example.org/x\"\n[rules]\n'/n/[0-9]{2}' = \"mutable\"",
        "parallel_builds = 3\nui = \"plain\"",
    );
    setup.env.insert("LARDER_UI".into(), "quiet".into());
    setup.env.insert("LARDER_LOG".into(), "debug".into());
    setup.env.insert("LARDER_NO_PROXY".into(), "a, b,".into());
    let settings = setup.load(&[("log", "trace"), ("upstream_proxy", "http://p:1")]).unwrap();
    let user = Source::User(setup.path("home/.config/larder/config.toml"));
    assert_eq!(settings.net, Sourced { value: Net::Offline, source: user.clone() });
    let project = Source::Project(setup.path("project/larder.toml"));
    assert_eq!(settings.parallel_builds, Sourced { value: 3, source: project });
    assert_eq!(settings.ui, Sourced { value: Ui::Quiet, source: Source::Env("LARDER_UI".into()) });
    assert_eq!(settings.log, Sourced { value: "trace".into(), source: Source::Flag("log".into()) });
    assert_eq!(settings.cache_dir.value, setup.path("home/c"));
    assert_eq!(settings.ca_files.value, [setup.path("home/.config/larder/roots.pem"), "/r".into()]);
    assert_eq!(settings.cache_max_size.value, Some(20 << 30));
    assert_eq!(settings.mirrors.value["a.example.org"], [MirrorSetting::at("http://b.example.org/x")]);
    assert_eq!(settings.rules.value["/n/[0-9]{2}"], "mutable");
    assert_eq!(settings.no_proxy.value, ["a", "b"]);
    assert_eq!(settings.upstream_proxy.value.as_deref(), Some("http://p:1"));
    assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
}

#[test]
fn a_project_chooses_nothing_dangerous_until_trusted() {
    let text = "upstream_proxy = \"http://evil.example.org\"\nstate_dir = \"x\"\nnet = \"offline\"\n";
    let setup = Setup::new("", text);
    let file = setup.path("project/larder.toml");
    let state = setup.path("home/.local/state/larder");
    let settings = setup.load(&[]).unwrap();
    assert_eq!(settings.upstream_proxy.value, None);
    assert_eq!(settings.state_dir.value, state);
    assert_eq!(settings.net.value, Net::Offline);
    let warning = &settings.warnings[0];
    assert!(warning.contains("sets state_dir, upstream_proxy") && warning.contains("not trusted"), "{warning}");
    assert!(warning.contains("larder config trust"), "{warning}");

    trust::trust(&state, &file).unwrap();
    let settings = setup.load(&[]).unwrap();
    assert_eq!(settings.upstream_proxy.value.as_deref(), Some("http://evil.example.org"));
    assert!(settings.warnings.is_empty());

    std::fs::write(&file, text.replace("evil", "worse")).unwrap();
    let settings = setup.load(&[]).unwrap();
    assert_eq!(settings.upstream_proxy.value, None);
    assert!(settings.warnings[0].contains("changed since"), "{:?}", settings.warnings);

    assert!(trust::distrust(&state, &file).unwrap());
    assert!(!trust::distrust(&state, &file).unwrap());
    assert!(!trust::is_trusted(&state, &file, text.as_bytes()).unwrap());
}

#[test]
fn mistakes_are_shown_with_their_place() {
    for (text, expected) in [
        ("net = \"of\n", "3"),
        (
            "\n net = \"ofline\"",
            ":2:8: cannot use `net`: ofline is not one of: cache, offline; did you mean offline? ()",
        ),
        ("net = 1", ":1:7: `net` is a string, not a whole number ()"),
        ("upstream_prxy = \"x\"", ":1:1: there is no setting `upstream_prxy` (did you mean `upstream_proxy`?)"),
        ("[cache]\nmax_sise = 1", ":2:1: there is no setting `cache.max_sise` (did you mean `cache.max_size`?)"),
        (
            "[cache]\nmax_size = \"20X\"",
            ":2:12: cannot use `cache.max_size`: 20X is not a size: write 20G, 512M or unlimited ()",
        ),
        ("tunnel = [\"a\", 2]", ":1:16: `tunnel` holds strings, not a whole number ()"),
        ("mirrors = []", ":1:11: `mirrors` is a table of mirrors, not a list ()"),
        ("parallel_builds = -1", ":1:19: cannot use `parallel_builds`: -1 is not a whole number, 0 or more ()"),
    ] {
        let error = Setup::new(text, "").error();
        if expected == "3" {
            assert!(error.starts_with("/home/.config/larder/config.toml:1:"), "{error}");
        } else {
            assert_eq!(error, format!("/home/.config/larder/config.toml{expected}"));
        }
    }
}

#[test]
fn variables_are_checked() {
    let mut setup = Setup::new("", "");
    setup.env.insert("LARDER_PARALLEL_BUILD".into(), "1".into());
    let warnings = setup.load(&[]).unwrap().warnings;
    assert_eq!(warnings, ["the variable LARDER_PARALLEL_BUILD is not known; did you mean LARDER_PARALLEL_BUILDS?"]);
    setup.env.insert("LARDER_MIRRORS".into(), "a=b,c".into());
    assert_eq!(setup.error(), "cannot use the variable LARDER_MIRRORS: c is not of the form FROM=TO ()");
}

/// A key that `config` does not know would be shown as the default of nothing.
#[test]
fn every_key_is_shown() {
    let setup = Setup::new("", "");
    for key in KEYS {
        let given = match key.kind {
            Kind::Word(words) => words[words.len() - 1],
            Kind::Switch => "false",
            Kind::Count => "7",
            Kind::Size => "7G",
            Kind::Duration => "1m",
            Kind::Mirrors => "from.example.org=http://to.example.org",
            Kind::ProxyLogins => "proxy.example.org:3128=jane:PASSWORD",
            Kind::Map => "/path=immutable",
            Kind::Ways => "http://given:1",
            // In files only.
            Kind::Rules | Kind::Tls => {
                assert!(setup.load(&[(key.name, "x")]).unwrap_err().to_string().contains(&format!("[[{}]]", key.name)));
                let (value, source) = setup.load(&[]).map(|all| (all.shown(key).0, all.shown(key).1.clone())).unwrap();
                assert_eq!((value, source), (serde_json::json!([]), Source::Default));
                continue;
            }
            Kind::Text | Kind::Path | Kind::PathOrUrl(_) | Kind::List | Kind::Paths | Kind::PublicKeys => "/given",
        };
        let settings = setup.load(&[(key.name, given)]).unwrap();
        let (value, source) = settings.shown(key);
        assert!(!value.is_null() && *source == Source::Flag(key.flag()), "{}: {value} {source}", key.name);
    }
}

#[test]
fn mirrors_have_a_short_and_a_long_form() {
    let text = r#"
[mirrors]
"a.example.org" = "http://one.example.net"
"b.example.org" = ["http://one.example.net/b", { url = "origin" }]

[[mirrors."https://c.example.org/simple/"]]
url = "https://repo.example.net/artifactory/api/pypi/pypi/simple"
user = "ci"
password_env = "REPO_PASSWORD"
ca_file = "repo.pem"
aliases = ["http://10.0.0.5/artifactory/api/pypi/pypi/simple/"]
patience = "10s"

[[mirrors."https://c.example.org/simple/"]]
url = "https://other.example.net/"
token_file = "~/token"
client_credentials = true
"#;
    let setup = Setup::new(text, "");
    let settings = setup.load(&[]).unwrap();
    let mirrors = &settings.mirrors.value;
    assert_eq!(mirrors["a.example.org"], [MirrorSetting::at("http://one.example.net")]);
    let b = [MirrorSetting::at("http://one.example.net/b"), MirrorSetting::at("origin")];
    assert_eq!(mirrors["b.example.org"], b);
    let [first, second] = mirrors["https://c.example.org/simple/"].as_slice() else { panic!("two") };
    assert_eq!(first.password, Some(Secret::Env("REPO_PASSWORD".to_owned())));
    assert_eq!(first.ca_files, [setup.path("home/.config/larder/repo.pem")]);
    assert_eq!((first.user.as_deref(), first.patience), (Some("ci"), Some(Duration::from_secs(10))));
    assert_eq!(second.token, Some(Secret::File(setup.path("home/token"))));
    assert!(second.client_credentials && !first.client_credentials);
    let (shown, _) = settings.shown(Key::named("mirrors").unwrap());
    assert_eq!(shown["a.example.org"], "http://one.example.net");
    assert_eq!(shown["b.example.org"], serde_json::json!(["http://one.example.net/b", "origin"]));
    assert_eq!(shown["https://c.example.org/simple/"][0]["password_env"], "REPO_PASSWORD");
}

#[test]
fn mirrors_of_one_name_in_a_variable_are_several() {
    let mut setup = Setup::new("", "");
    setup.env.insert("LARDER_MIRRORS".into(), "a=http://one, b=http://x,a=origin".into());
    let mirrors = setup.load(&[]).unwrap().mirrors.value;
    assert_eq!(mirrors["a"], [MirrorSetting::at("http://one"), MirrorSetting::at("origin")]);
    assert_eq!(mirrors.len(), 2);
}

#[test]
fn what_is_wrong_with_a_mirror_is_said_with_its_place() {
    for (text, expected) in [
        ("a = 1", ":2:5: a mirror in `mirrors` is a URL, or a table with `url`, not a whole number ()"),
        ("a = []", ":2:5: `mirrors.\"a\"` names no mirror ()"),
        ("a = { user = \"x\" }", ":2:5: the mirror for a has no `url` ()"),
        (
            "a = { url = \"u\", pasword_env = \"P\" }",
            ":2:18: a mirror has no `pasword_env` (did you mean `password_env`?)",
        ),
        (
            "a = { url = \"u\", token = \"geheim\" }",
            ":2:18: a mirror's token is not kept in a settings file (name what holds it: `token_env = \"VARIABLE\"` or `token_file = \"FILE\"`)",
        ),
        (
            "a = { url = \"u\", user = \"x\" }",
            ":2:5: the mirror for a has a `user`, and neither `password_env` nor `password_file` ()",
        ),
        (
            "a = { url = \"u\", token_env = \"T\", netrc_file = \"n\" }",
            ":2:5: the mirror for a has credentials of several kinds: name a password, a token or a netrc file ()",
        ),
    ] {
        let error = Setup::new(&format!("[mirrors]\n{text}\n"), "").error();
        assert_eq!(error, format!("/home/.config/larder/config.toml{expected}"));
    }
}

#[test]
fn logins_of_proxies_are_read_and_shown_without_secrets() {
    let setup = Setup::new(
        "[[proxy_login]]\nproxy = \"http://proxy.example.org:3128\"\nuser = 'CORP\\jane'\n\
         password_command = \"echo geheim\"\nschemes = [\"ntlm\", \"Digest\"]\n\
         [[proxy_login]]\nproxy = \"[2001:db8::1]:80\"\nservice = \"HTTP@canonical\"\n\
         [[proxy_login]]\nproxy = \"other\"\nnetrc_file = \"~/.netrc\"\n",
        "",
    );
    let settings = setup.load(&[]).unwrap();
    let [first, second, third] = settings.proxy_login.value.as_slice() else { panic!("three") };
    assert_eq!((first.host.as_str(), first.port), ("proxy.example.org", Some(3128)));
    assert_eq!(first.user.as_deref(), Some("CORP\\jane"));
    assert_eq!(first.schemes.as_deref(), Some(&[Scheme::Ntlm, Scheme::Digest][..]));
    assert!(first.place.ends_with("config.toml:1:1"), "{}", first.place);
    assert_eq!((second.host.as_str(), second.port), ("2001:db8::1", Some(80)));
    assert_eq!((third.host.as_str(), third.port), ("other", None));
    assert_eq!(third.password, Some(PasswordPlace::Netrc(setup.path("home/.netrc"))));
    let (shown, _) = settings.shown(Key::named("proxy_login").unwrap());
    let shown = shown.to_string();
    assert!(shown.contains("\"password_command\":\"echo …\"") && !shown.contains("geheim"), "{shown}");
}

#[test]
fn what_is_wrong_in_a_login_of_a_proxy_is_told_with_its_place() {
    for (text, expected) in [
        ("proxy_login = 1", "/larder.toml:1:15: `proxy_login` is a list of tables"),
        ("[[proxy_login]]\nuser = \"x\"\npassword_env = \"X\"", "1:1: a proxy_login has no `proxy`"),
        ("[[proxy_login]]\nproxy = \"h:1\"\nuser = \"x\"", "1:1: a proxy_login has a `user`, and no password"),
        ("[[proxy_login]]\nproxy = \"h:1\"\npassword_env = \"X\"", "has a password, and no `user`"),
        ("[[proxy_login]]\nproxy = \"h:1\"\npassword = \"geheim\"", "3:1: a proxy's password is not kept"),
        ("[[proxy_login]]\nproxy = \"h:x\"", "2:9: h:x is no proxy"),
        ("[[proxy_login]]\nproxy = \"http://u:geheim@h:1\"", "is no proxy"),
        ("[[proxy_login]]\nproxy = \"h:1\"\nschemes = [\"kerberos\"]", "3:12: kerberos is no scheme"),
        (
            "[[proxy_login]]\nproxy = \"h:1\"\nscheme = []",
            "3:1: a proxy_login has no `scheme` (did you mean `schemes`?)",
        ),
    ] {
        let setup = Setup::new("", text);
        let error = setup.error();
        assert!(error.contains(expected) && !error.contains("geheim"), "{text}: {error}");
    }
}
