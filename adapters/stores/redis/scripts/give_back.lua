-- Hand an owned execution's ticket to the next who asks.
-- KEYS[1] the shard. ARGV: id, epoch, station, ring for tickets (1 or empty). Answers 1, or 0 where the
-- claim was lost.
if redis.replicate_commands then redis.replicate_commands() end
local p, id = KEYS[1], ARGV[1]
local x, t = p .. 'x:' .. id, p .. 't'
local f = redis.call('HMGET', x, 'e', 'o', 't')
if f[1] ~= ARGV[2] or f[2] ~= ARGV[3] or f[3] == '' then
  return 0
end
redis.call('XACK', t, 'w', f[3])
redis.call('XDEL', t, f[3])
redis.call('HSET', x, 't', redis.call('XADD', t, '*', 'i', id), 'o', '')
if ARGV[4] ~= '' then
  redis.call('PUBLISH', p .. 'ring', id)
end
return 1
