//! Profiles.

use seccomp_policies::profile::Profile;

/// A profile. What is read can be written and read back.
pub fn profile(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    match Profile::from_text("r.profile", text) {
        Ok(profile) => {
            let text = profile.to_string();
            let again = Profile::from_text("r.profile", &text);
            assert_eq!(again.map_err(|errors| errors.to_string()), Ok(profile), "{text}");
            true
        }
        Err(errors) => {
            assert!(errors.render(true).contains("error"), "{errors:?}");
            false
        }
    }
}
