-- Read a journal since its snapshot, and the inbox, at one instant.
-- KEYS[1] the shard. ARGV: id.
-- Answers {} or {digest, version, snapshot or false, its version, batches, inbox}.
local p, id = KEYS[1], ARGV[1]
local f = redis.call('HMGET', p .. 'x:' .. id, 'd', 'v', 'n', 'zi', 'zv')
if not f[1] then
  return {}
end
local snapshot = f[4] and redis.call('GET', p .. 's:' .. id)
local batches = redis.call('LRANGE', p .. 'j:' .. id, snapshot and f[4] or 0, -1)
local inbox = {}
if f[3] ~= '0' then
  inbox = redis.call('HVALS', p .. 'i:' .. id)
end
return {f[1], f[2], snapshot, f[5], batches, inbox}
