//! Configuration files.

use ringfence::api::model::Configuration;
use ringfence::cli::run_config::RunConfig;

/// What a file of Firecracker's form asks for.
pub fn config(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let used = RunConfig::parse(text);
    let Ok(configuration) = serde_json::from_str::<Configuration>(text) else {
        assert!(used.is_err(), "what is no configuration is not used as one");
        return false;
    };
    let written = serde_json::to_string(&configuration).expect("it has a form in JSON");
    let again: Configuration =
        serde_json::from_str(&written).unwrap_or_else(|error| panic!("{written}: {error}"));
    assert_eq!(again, configuration, "{written}");
    let used_again = RunConfig::parse(&written);
    match (&used, &used_again) {
        (Ok(one), Ok(other)) => assert_eq!(format!("{one:?}"), format!("{other:?}"), "{written}"),
        (Err(_), Err(_)) => {}
        _ => panic!("{written}: {used:?}, then {used_again:?}"),
    }
    used.is_ok()
}
