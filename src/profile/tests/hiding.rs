//! Secret variables are not written to disk.

use super::{directory, resolve};
use crate::profile::Selection;

#[test]
fn secret_variables_are_not_written_to_disk() {
    let profile = "[vars]\nregion = \"\"\ndataset = \"\"\nk = \"\"\npublic_key = \"\"\npass = \"\"\ntok = \"\"\n\
        old_key = \"\"\n[destination.d]\nendpoint = \"https://${region}.example\"\n[destination.d.headers]\n\
        x-dataset = \"${dataset}\"\nx-api-key = \"${k}\"\n\
        authorization = { basic = { user = \"${public_key}\", password = \"${pass}\" } }\n\
        [env]\nA_TOKEN = \"${tok}\"\n";
    let pairs = [
        ("region", "eu"),
        ("dataset", "claude-code"),
        ("k", "SECRET"),
        ("public_key", "pk-lf-1234567"),
        ("pass", "pw"),
        ("tok", "t"),
        ("old_key", "x"),
    ];
    let selection = Selection {
        profiles: vec!["mine".to_owned()],
        variables: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        ..Selection::default()
    };
    let profile = resolve(&selection, directory(&[("mine", profile)]).path()).unwrap();
    let kept: Vec<_> = selection.without_secrets(&profile).variables.into_iter().map(|(_, value)| value).collect();
    assert_eq!(kept, ["eu", "claude-code", "hidden", "pk-lf-1234567", "hidden", "hidden", "hidden"]);
}
