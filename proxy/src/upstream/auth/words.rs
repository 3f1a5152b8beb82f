//! What the user is told when no way to authenticate did.

use super::challenge::Challenge;
use super::scheme::Scheme;

/// What a proxy offered, and what came of each.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    offered: Vec<String>,
    tried: Vec<(Scheme, String)>,
}

impl Attempts {
    /// Notes what the proxy offers.
    pub(super) fn offers(&mut self, challenges: &[Challenge]) {
        for challenge in challenges {
            if !self.offered.iter().any(|name| name.eq_ignore_ascii_case(&challenge.scheme)) {
                self.offered.push(challenge.scheme.chars().take(40).collect());
            }
        }
    }

    /// Notes why a scheme did not do.
    pub(super) fn failed(&mut self, scheme: Scheme, why: impl Into<String>) {
        self.tried.push((scheme, why.into()));
    }

    /// Whether a scheme has been found not to do.
    pub(super) fn has_failed(&self, scheme: Scheme) -> bool {
        self.tried.iter().any(|(own, _)| *own == scheme)
    }

    /// All of it. `refused` is what is said of a login that the proxy did not take.
    pub(super) fn words(&self, proxy: &str, schemes: &[Scheme], refused: Option<&str>) -> String {
        let offered = if self.offered.is_empty() { "no scheme".to_owned() } else { self.offered.join(", ") };
        let mut whys: Vec<String> = Vec::new();
        whys.extend(refused.map(str::to_owned));
        for (index, (_, why)) in self.tried.iter().enumerate() {
            // Several may have failed for one reason.
            if self.tried[..index].iter().any(|(_, earlier)| earlier == why) {
                continue;
            }
            let of = self.tried.iter().filter(|(_, other)| other == why).map(|(scheme, _)| scheme.name());
            whys.push(format!("{}: {why}", of.collect::<Vec<_>>().join(", ")));
        }
        whys.extend(self.not_allowed(schemes));
        let known = self.offered.iter().any(|name| Scheme::named(name).is_some());
        if !known {
            let all = Scheme::ALL.map(Scheme::name).join(", ");
            whys.push(format!("Larder can answer {all}; ask for another proxy"));
        }
        format!("the upstream proxy {proxy} asks for authentication (407, offers {offered}); {}", whys.join("; "))
    }

    /// What the proxy offers and the settings do not allow.
    fn not_allowed(&self, schemes: &[Scheme]) -> Option<String> {
        let offered = self.offered.iter().filter_map(|name| Scheme::named(name));
        let names: Vec<_> = offered.filter(|scheme| !schemes.contains(scheme)).map(Scheme::name).collect();
        (!names.is_empty()).then(|| format!("{}: not among the `schemes` allowed for it", names.join(", ")))
    }
}
