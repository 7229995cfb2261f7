//! Numbers that nobody can guess.

use anyhow::{Result, anyhow};
use ring::rand::{SecureRandom, SystemRandom};

/// Fills a buffer.
pub fn fill(buffer: &mut [u8]) -> Result<()> {
    SystemRandom::new().fill(buffer).map_err(|_| anyhow!("the system has no random numbers"))
}

/// `N` random bytes as twice as many hexadecimal digits.
pub fn hex<const N: usize>() -> Result<String> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    let digit = |digit: u8| char::from_digit(u32::from(digit), 16).unwrap_or('0');
    Ok(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect())
}

/// A factor between 0.5 and 1.5: what keeps retries of many from coming at once.
pub fn jitter() -> f64 {
    let mut byte = [128];
    // Without random numbers there is no jitter, which is no reason to stop.
    drop(fill(&mut byte));
    0.5 + f64::from(byte[0]) / 255.0
}
