//! What Redis does in one step. A script runs alone, and what it changes is replicated as one.

use std::sync::LazyLock;

use redis::{Cmd, Script};

/// A script, called by its hash: each connection loads all of them first.
pub(super) struct Step(Script);

impl Step {
    fn new(text: &str) -> Self {
        Self(Script::new(text))
    }

    /// To be completed with arguments.
    pub(super) fn call(&self, keys: &[&str]) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(self.0.get_hash()).arg(keys.len()).arg(keys);
        command
    }
}

type Lazy = LazyLock<Step>;

/// A time by the server's clock, in milliseconds. Only the server compares it with another one.
const NOW: &str =
    "local time = redis.call('TIME')\nlocal now = string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000))\n";

/// The number of the write that a field is of; 0 if there is none.
const REVISION: &str =
    "local function revision(found)\n  return found and found:sub(1, found:find(' ', 1, true) - 1) or '0'\nend\n";

/// `hash revision | field at value`: the new revision, or 0 if the field is at another one.
pub(super) static WRITE: Lazy = LazyLock::new(|| {
    Step::new(&format!(
        "{NOW}{REVISION}
if revision(redis.call('HGET', KEYS[1], ARGV[1])) ~= ARGV[2] then return 0 end
local next = redis.call('INCR', KEYS[2])
redis.call('HSET', KEYS[1], ARGV[1], string.format('%d', next) .. ' ' .. now .. ' ' .. ARGV[3])
return next"
    ))
});

/// `hash | field at`: 1 if the field is gone, 0 if it is at another revision. At 0: whatever it is.
pub(super) static REMOVE: Lazy = LazyLock::new(|| {
    Step::new(&format!(
        "{REVISION}
local at = revision(redis.call('HGET', KEYS[1], ARGV[1]))
if at == '0' then return 1 end
if ARGV[2] ~= '0' and at ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
return 1"
    ))
});

/// `hash | kept`: fields and their revisions. What was written more than `kept` milliseconds ago goes; 0: nothing does.
pub(super) static LIST: Lazy = LazyLock::new(|| {
    Step::new(&format!(
        "{NOW}
local all, listed = redis.call('HGETALL', KEYS[1]), {{}}
for at = 1, #all, 2 do
  local number, written = all[at + 1]:match('^(%d+) (%d+) ')
  if ARGV[1] ~= '0' and tonumber(written) + tonumber(ARGV[1]) < tonumber(now) then
    redis.call('HDEL', KEYS[1], all[at])
  else
    listed[#listed + 1] = {{all[at], tonumber(number)}}
  end
end
return listed"
    ))
});

/// `log | run lost`: the life of the log. Another run of the server begins another one, if it may have lost what it had answered for.
pub(super) static LIFE: Lazy = LazyLock::new(|| {
    Step::new(
        "local run, life = unpack(redis.call('HMGET', KEYS[1], 'run', 'life'))
if run == ARGV[1] then return tonumber(life) end
if not run then
  life = tonumber(redis.call('TIME')[1]) % 32767 + 1
elseif ARGV[2] == '1' then
  life = tonumber(life) + 1
end
redis.call('HSET', KEYS[1], 'run', ARGV[1], 'life', life)
return tonumber(life)",
    )
});

/// `chain log ends | slot after life record`: the id of the record, nothing if the chain ends elsewhere.
pub(super) static APPEND: Lazy = LazyLock::new(|| {
    Step::new(
        "local life = redis.call('HGET', KEYS[2], 'life')
if life ~= ARGV[3] then return redis.error_reply('LIFE the log has begun another life') end
if (redis.call('HGET', KEYS[3], ARGV[1]) or '') ~= ARGV[2] then return false end
local id = life .. '-' .. string.format('%d', redis.call('HINCRBY', KEYS[2], 'place', 1))
redis.call('XADD', KEYS[1], id, 'r', ARGV[4])
redis.call('HSET', KEYS[3], ARGV[1], id)
return id",
    )
});

/// `user | session gateway lifetime`: the session is there now. Those that were not seen for a lifetime are over.
pub(super) static SEEN: Lazy = LazyLock::new(|| {
    Step::new(&format!(
        "{NOW}
local all, known = redis.call('HGETALL', KEYS[1]), now
for at = 1, #all, 2 do
  local since, seen = all[at + 1]:match(' (%d+) (%d+)$')
  if all[at] == ARGV[1] then known = since or now
  elseif not seen or tonumber(seen) + tonumber(ARGV[3]) < tonumber(now) then redis.call('HDEL', KEYS[1], all[at]) end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. known .. ' ' .. now)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1"
    ))
});

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static Script> {
    [&WRITE, &REMOVE, &LIST, &LIFE, &APPEND, &SEEN].into_iter().map(|step| &step.0)
}
