-- Change a breaker where what is there has a lower version (compare-and-set), and tell everybody.
-- KEYS[1] the base of health. ARGV: the breaker's key, its version, the breaker, after how long without a
-- change it is forgotten (ms), the news, the event or empty, how many events to keep about.
-- What is kept is the version, a space, and the breaker. Answers nil, or what is there and won.
if redis.replicate_commands then redis.replicate_commands() end
local p = KEYS[1]
for name, kind in pairs({b = 'hash', x = 'zset', e = 'stream', mark = 'string'}) do
  local is = redis.call('TYPE', p .. name).ok
  if is ~= kind and is ~= 'none' then
    redis.call('DEL', p .. name)
  end
end
local there = redis.call('HGET', p .. 'b', ARGV[1])
local version = there and tonumber(string.match(there, '^(%d+) '))
if version and version >= tonumber(ARGV[2]) then
  return there
end
local time = redis.call('TIME')
redis.call('HSET', p .. 'b', ARGV[1], ARGV[2] .. ' ' .. ARGV[3])
redis.call('ZADD', p .. 'x', string.format('%.0f', time[1] * 1000 + tonumber(ARGV[4])), ARGV[1])
redis.call('SET', p .. 'mark', time[1] .. '.' .. time[2])
if ARGV[6] ~= '' then
  redis.call('XADD', p .. 'e', 'MAXLEN', '~', ARGV[7], '*', 'v', ARGV[6])
end
redis.call('PUBLISH', p .. 'news', ARGV[5])
return false
