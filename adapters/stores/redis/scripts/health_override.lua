-- Set or end an override, and tell everybody all that there are.
-- KEYS[1] the base of health. ARGV: `set`, `lift` or `expire`; provider and region as a key; the override
-- (only `set`); the event; how many events to keep about; how many overrides there may be; the station.
-- What is kept is the instant when it ends (ms), a space, and the override.
-- Answers {done, now (ms), the overrides as a hash}; done is 0 where there was none, -1 where there are too
-- many. One that is over is kept for a day, so that somebody can say that it is over.
if redis.replicate_commands then redis.replicate_commands() end
local p, act, key = KEYS[1], ARGV[1], ARGV[2]
for name, kind in pairs({o = 'hash', e = 'stream', mark = 'string'}) do
  local is = redis.call('TYPE', p .. name).ok
  if is ~= kind and is ~= 'none' then
    redis.call('DEL', p .. name)
  end
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local shown = string.format('%.0f', now)
local there = redis.call('HGET', p .. 'o', key)
if act == 'set' then
  local all = redis.call('HGETALL', p .. 'o')
  for n = 1, #all, 2 do
    local ends = tonumber(string.match(all[n + 1], '^(%d+) '))
    if ends and ends < now - 86400000 then
      redis.call('HDEL', p .. 'o', all[n])
    end
  end
  if not there and redis.call('HLEN', p .. 'o') >= tonumber(ARGV[6]) then
    return {-1, shown, {}}
  end
  redis.call('HSET', p .. 'o', key, ARGV[3])
else
  local ends = there and tonumber(string.match(there, '^(%d+) '))
  -- A replica whose clock is a little ahead says it a moment early.
  if not there or (ends and act == 'expire' and ends > now + 1000) or (ends and act == 'lift' and ends <= now) then
    return {0, shown, {}}
  end
  redis.call('HDEL', p .. 'o', key)
end
redis.call('SET', p .. 'mark', time[1] .. '.' .. time[2])
redis.call('XADD', p .. 'e', 'MAXLEN', '~', ARGV[5], '*', 'v', ARGV[4])
local all = redis.call('HGETALL', p .. 'o')
local told = {}
for n = 2, #all, 2 do
  local ends, value = string.match(all[n], '^(%d+) (.*)$')
  if ends and tonumber(ends) > now then
    told[#told + 1] = value
  end
end
redis.call('PUBLISH', p .. 'news', '{"station":"' .. ARGV[7] .. '","overrides":[' .. table.concat(told, ',') .. ']}')
return {1, shown, all}
