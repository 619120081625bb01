-- Make the reader of ticket entries their executions' owner, under a new epoch each.
-- KEYS[1] the shard. ARGV: station, idle time to begin with (ms), how many to take, ring for tickets (1 or
-- empty), then an entry and its execution's id, and so on.
-- An entry that is not its execution's ticket (any more) is dropped; those beyond the number go back.
-- Answers, for each taken: {id, epoch, digest, version, snapshot or false, its version, batches, inbox}.
if redis.replicate_commands then redis.replicate_commands() end
local p, t = KEYS[1], KEYS[1] .. 't'
local idle, room, taken = ARGV[2], tonumber(ARGV[3]), {}
for n = 5, #ARGV, 2 do
  local entry, id = ARGV[n], ARGV[n + 1]
  local x = p .. 'x:' .. id
  local f = redis.call('HMGET', x, 't', 'e', 'd', 'v', 'n', 'zi', 'zv')
  if f[1] ~= entry then
    redis.call('XACK', t, 'w', entry)
    redis.call('XDEL', t, entry)
  elseif #taken == room then
    redis.call('XACK', t, 'w', entry)
    redis.call('XDEL', t, entry)
    redis.call('HSET', x, 't', redis.call('XADD', t, '*', 'i', id))
    if ARGV[4] ~= '' then
      redis.call('PUBLISH', p .. 'ring', id)
    end
  else
    local epoch = tonumber(f[2]) + 1
    redis.call('HSET', x, 'e', epoch, 'o', ARGV[1])
    if idle ~= '0' then
      redis.call('XCLAIM', t, 'w', 'w', 0, entry, 'IDLE', idle, 'JUSTID')
    end
    local snapshot = f[6] and redis.call('GET', p .. 's:' .. id)
    local batches = redis.call('LRANGE', p .. 'j:' .. id, snapshot and f[6] or 0, -1)
    local inbox = {}
    if f[5] ~= '0' then
      inbox = redis.call('HVALS', p .. 'i:' .. id)
    end
    taken[#taken + 1] = {id, epoch, f[3], f[4], snapshot, f[7], batches, inbox}
  end
end
return taken
