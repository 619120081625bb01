-- Take an ended execution away, and its definition with the last one that uses it.
-- KEYS[1] the shard. ARGV: id, terminal statuses (each between commas).
-- Answers {'gone'}, {'missing'} or {'live', status}. DEL comes first: where memory is full, a script may go
-- on writing once it has written something that frees.
local p, id = KEYS[1], ARGV[1]
local x = p .. 'x:' .. id
local f = redis.call('HMGET', x, 's', 'n', 't', 'a', 'w', 'd')
if not f[1] then
  return {'missing'}
end
local ended = string.find(ARGV[2], ',' .. f[1] .. ',', 1, true)
if not ended or f[2] ~= '0' or f[3] ~= '' or f[4] ~= '' then
  return {'live', f[1]}
end
redis.call('DEL', x, p .. 'j:' .. id, p .. 'i:' .. id, p .. 'm:' .. id, p .. 's:' .. id)
redis.call('ZREM', p .. 'st:' .. f[1], id)
redis.call('ZREM', p .. 'wf:' .. f[5], id)
redis.call('ZREM', p .. 'fo', id)
if redis.call('HINCRBY', p .. 'dn', f[6], -1) <= 0 then
  redis.call('HDEL', p .. 'dn', f[6])
  redis.call('DEL', p .. 'd:' .. f[6])
end
return {'gone'}
