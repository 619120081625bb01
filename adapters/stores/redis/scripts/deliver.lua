-- Put a message into an inbox, and make a ticket where none is live.
-- KEYS[1] the shard. ARGV: id, message id, message, revive (1 or empty), terminal statuses (each between
-- commas), station, what precedes a station in its channel, ring for tickets (1 or empty).
-- Answers {'put', ticket made (1 or 0)}, {'had'}, {'missing'} or {'ended', status}.
if redis.replicate_commands then redis.replicate_commands() end
local p, id = KEYS[1], ARGV[1]
local x = p .. 'x:' .. id
local f = redis.call('HMGET', x, 's', 't', 'o', 'a', 'n', 'q')
if not f[1] then
  return {'missing'}
end
if redis.call('SISMEMBER', p .. 'm:' .. id, ARGV[2]) == 1 then
  redis.call('HSET', x, 'q', f[6])  -- a write, so that WAIT covers what was said before
  return {'had'}
end
if ARGV[4] == '' and string.find(ARGV[5], ',' .. f[1] .. ',', 1, true) then
  return {'ended', f[1]}
end
local place = tonumber(f[6] or '0') + 1
redis.call('SADD', p .. 'm:' .. id, ARGV[2])
redis.call('HSET', p .. 'i:' .. id, ARGV[2], place .. ':' .. ARGV[3])
local made = f[2] == ''
if made then
  local entry = redis.call('XADD', p .. 't', '*', 'i', id)
  redis.call('HSET', x, 'q', place, 'n', tonumber(f[5]) + 1, 't', entry, 'a', '')
  if f[4] ~= '' then
    redis.call('ZREM', p .. 'w', id)
  end
  if ARGV[8] ~= '' then
    redis.call('PUBLISH', p .. 'ring', id)
  end
else
  redis.call('HSET', x, 'q', place, 'n', tonumber(f[5]) + 1)
end
if f[3] ~= '' and f[3] ~= ARGV[6] then
  redis.call('PUBLISH', ARGV[7] .. f[3], id)
end
return {'put', made and 1 or 0}
