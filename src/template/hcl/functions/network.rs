//! Functions on IP networks.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Call, Failure, Function, Outcome, STRING, STRINGS, Value};
use super::{function, number, text, variadic};

pub(super) const FUNCTIONS: &[Function] = &[
    function("cidrhost", &[text("prefix"), number("hostnum")], STRING, |c| {
        let network = network(c)?;
        let size = u32::from(network.max_prefix_len() - network.prefix_len());
        let number = c.int(1)?;
        // Numbers below 0 count from the end.
        let last = u128::MAX.checked_shr(128 - size).unwrap_or(0);
        let distance = u128::from(number.unsigned_abs());
        let offset = if number < 0 {
            (distance - 1 <= last).then(|| last - (distance - 1))
        } else {
            (distance <= last).then_some(distance)
        };
        let offset = offset.ok_or_else(|| c.wrong(1, "the network has no such host"))?;
        Ok(add(network.network(), offset).to_string().into())
    }),
    function("cidrnetmask", &[text("prefix")], STRING, |c| Ok(network(c)?.netmask().to_string().into())),
    function("cidrsubnet", &[text("prefix"), number("newbits"), number("netnum")], STRING, |c| {
        let number = u128::try_from(c.int(2)?).map_err(|_| c.wrong(2, "it must not be negative"))?;
        let network = network(c)?;
        let prefix = longer(&network, c.int(1)?).map_err(|error| c.wrong(1, error))?;
        let bits = u32::from(prefix - network.prefix_len());
        if bits < 128 && number >> bits > 0 {
            return Err(c.wrong(2, format!("{bits} bits cannot hold this number")));
        }
        let offset = number.checked_shl(u32::from(network.max_prefix_len() - prefix)).unwrap_or(0);
        subnet(add(network.network(), offset), prefix).map(Value::from)
    }),
    variadic("cidrsubnets", &[text("prefix")], number("newbits"), STRINGS, subnets),
];

fn network(c: &Call<'_>) -> Result<IpNet, Failure> {
    let parsed = c.text(0).split_once('/').and_then(|(address, prefix)| {
        // Zeros before a number would leave open whether it is octal.
        let address: IpAddr = address.parse().ok()?;
        let digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
        IpNet::new(address, prefix.parse().ok().filter(|_| digits)?).ok()
    });
    Ok(parsed.ok_or_else(|| c.wrong(0, "a network like 10.0.0.0/8 is required"))?.trunc())
}

/// The length of a prefix with so many bits more.
fn longer(network: &IpNet, new_bits: i64) -> Result<u8, String> {
    let prefix = u8::try_from(new_bits).ok().and_then(|new_bits| network.prefix_len().checked_add(new_bits));
    prefix.filter(|prefix| *prefix <= network.max_prefix_len()).ok_or_else(|| {
        format!("it must be 0 to {}, as many bits as are left", network.max_prefix_len() - network.prefix_len())
    })
}

fn add(address: IpAddr, offset: u128) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            IpAddr::V4(u32::from(address).wrapping_add(u32::try_from(offset).unwrap_or(u32::MAX)).into())
        }
        IpAddr::V6(address) => IpAddr::V6(u128::from(address).wrapping_add(offset).into()),
    }
}

fn subnet(address: IpAddr, prefix: u8) -> Result<String, Failure> {
    Ok(IpNet::new(address, prefix).map_err(|error| error.to_string())?.to_string())
}

/// Subnets of the given sizes, one after another.
fn subnets(c: &Call<'_>) -> Outcome {
    let network = network(c)?;
    let (mut next, mut found) = (Some(0_u128), Vec::new());
    for index in 1..c.len() {
        let bits = c.int(index)?;
        if bits < 1 {
            return Err(c.wrong(index, "it must be at least 1"));
        }
        let prefix = longer(&network, bits).map_err(|error| c.wrong(index, error))?;
        let host_bits = u32::from(network.max_prefix_len() - prefix);
        let size = 1_u128.checked_shl(host_bits).unwrap_or(u128::MAX);
        let start = next.and_then(|next| next.div_ceil(size).checked_mul(size));
        let start = start.filter(|start| {
            let all = u32::from(network.max_prefix_len() - network.prefix_len());
            all >= 128 || start >> all == 0
        });
        let start = start.ok_or_else(|| c.wrong(index, "the network has no room for it"))?;
        found.push(subnet(add(network.network(), start), prefix)?);
        next = start.checked_add(size);
    }
    Ok(Value::strings(found))
}
