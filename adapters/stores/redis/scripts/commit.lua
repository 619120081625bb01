-- One step of an execution by its owner: append, consume, summarise, release.
-- KEYS[1] the shard. ARGV: id, version before, epoch, station, commit id, at, version after, batch (empty:
-- none), status, step, failed over (1 or empty); then, where it releases or consumes: release (1 or empty),
-- wake (empty: none), how far off that is (ms), consumed ids...
-- Answers a number: 1 messages are left, 2 released, 4 it had happened before, added up; nil where there is no
-- such execution; {version} where it is refused.
if ARGV[13] and redis.replicate_commands then redis.replicate_commands() end
local p, id = KEYS[1], ARGV[1]
local x = p .. 'x:' .. id
local f = redis.call('HMGET', x, 'v', 'e', 'o', 'k', 'n', 's', 'f', 'l')
if not f[1] then
  return false
end
-- The last commit's id stands behind the digit that says whether it released.
if string.sub(f[4], 2) == ARGV[5] and f[4] ~= '' then
  redis.call('HSET', x, 'k', f[4])  -- a write, so that WAIT covers what it repeats
  return 4 + 2 * string.sub(f[4], 1, 1) + (f[5] ~= '0' and 1 or 0)
end
if f[1] ~= ARGV[2] or f[2] ~= ARGV[3] or f[3] ~= ARGV[4] then
  return {f[1]}
end
-- The journal first: where memory is full this is refused, and then nothing was written.
if ARGV[8] ~= '' then
  redis.call('RPUSH', p .. 'j:' .. id, ARGV[8])
end
local left, released = f[5], false
if f[6] == ARGV[9] and f[7] == ARGV[11] and not ARGV[12] then
  redis.call('HSET', x, 'v', ARGV[7], 'u', ARGV[6], 'k', '0' .. ARGV[5], 'p', ARGV[10])
else
  if left ~= '0' and ARGV[15] then
    for n = 15, #ARGV, 1000 do  -- `unpack` has a limit
      local gone = redis.call('HDEL', p .. 'i:' .. id, unpack(ARGV, n, math.min(n + 999, #ARGV)))
      left = tostring(tonumber(left) - gone)
    end
  end
  released = ARGV[12] == '1' and left == '0'
  local set = {'v', ARGV[7], 'u', ARGV[6], 'k', (released and '1' or '0') .. ARGV[5], 'p', ARGV[10]}
  local function change(field, value)
    set[#set + 1] = field
    set[#set + 1] = value
  end
  if left ~= f[5] then
    change('n', left)
  end
  if f[6] ~= ARGV[9] then
    change('s', ARGV[9])
    redis.call('ZREM', p .. 'st:' .. f[6], id)
    redis.call('ZADD', p .. 'st:' .. ARGV[9], 0, id)
  end
  if f[7] ~= ARGV[11] then
    change('f', ARGV[11])
    if ARGV[11] == '' then
      redis.call('ZREM', p .. 'fo', id)
    else
      redis.call('ZADD', p .. 'fo', 0, id)
    end
  end
  if released then
    local ticket = redis.call('HGET', x, 't')
    redis.call('XACK', p .. 't', 'w', ticket)
    redis.call('XDEL', p .. 't', ticket)
    change('t', '')
    change('o', '')
    change('a', ARGV[13])
    if ARGV[13] ~= '' then
      -- Where Redis's clock has jumped, how far off it is is what both agree on, and not the instant.
      local time, wake = redis.call('TIME'), ARGV[13]
      local by_redis = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[14]
      if math.abs(by_redis - wake) > 1000 then
        wake = string.format('%.0f', by_redis)
      end
      redis.call('ZADD', p .. 'w', wake, id)
    end
  end
  redis.call('HSET', x, unpack(set))
end
if ARGV[8] ~= '' and f[8] then
  redis.call('PUBLISH', p .. 'j:' .. id, ARGV[4] .. ' ' .. ARGV[9])
end
return (released and 2 or 0) + (left ~= '0' and 1 or 0)
