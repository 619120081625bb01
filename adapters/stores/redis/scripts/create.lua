-- Create an execution: record, journal, definition, ticket, idempotency record.
-- KEYS[1] the shard. ARGV: id, workflow, digest, definition (empty: not sent), created, version, batch
-- (empty: none), status, step, failed over (1 or empty), place of the idempotency record (empty: none),
-- its content, its expiry, ring for tickets (1 or empty), the station that takes it on (empty: none), idle time
-- to begin with (ms).
-- Answers {'made', taken on (1 or 0)}, {'known', record}, {'exists'} or {'definition'} (send it along).
if redis.replicate_commands then redis.replicate_commands() end
local p, id, digest = KEYS[1], ARGV[1], ARGV[3]
if ARGV[11] ~= '' then
  local known = redis.call('GET', p .. 'k:' .. ARGV[11])
  if known then
    -- What is said again is written again, so that WAIT covers it.
    redis.call('SET', p .. 'k:' .. ARGV[11], known, 'KEEPTTL')
    return {'known', known}
  end
end
local x = p .. 'x:' .. id
local workflow = redis.call('HGET', x, 'w')
if workflow then
  redis.call('HSET', x, 'w', workflow)
  return {'exists'}
end
if ARGV[4] ~= '' then
  redis.call('SET', p .. 'd:' .. digest, ARGV[4], 'NX')
elseif redis.call('EXISTS', p .. 'd:' .. digest) == 0 then
  return {'definition'}
end
redis.call('HINCRBY', p .. 'dn', digest, 1)
if ARGV[7] ~= '' then
  redis.call('RPUSH', p .. 'j:' .. id, ARGV[7])
end
-- It is taken on where no ticket waits before it: then its entry is the next that is read.
local t, epoch, owner = p .. 't', '0', ''
local pending = ARGV[15] ~= '' and redis.pcall('XPENDING', t, 'w')
local first = pending and not pending.err and pending[1] == redis.call('XLEN', t)
local entry = redis.call('XADD', t, '*', 'i', id)
if first then
  local read = redis.call('XREADGROUP', 'GROUP', 'w', 'w', 'COUNT', 1, 'STREAMS', t, '>')
  local found = read and read[1][2][1]
  if found and found[1] == entry then
    -- Not 1, which is that of a first claim by the stream: who did not hear the answer gives this one back.
    epoch, owner = '2', ARGV[15]
    if ARGV[16] ~= '0' then
      redis.call('XCLAIM', t, 'w', 'w', 0, entry, 'IDLE', ARGV[16], 'JUSTID')
    end
  elseif found then
    -- An entry that somebody deleted by hand is pending still, and hid that one waits. That one goes back.
    local before = p .. 'x:' .. found[2][2]
    redis.call('XACK', t, 'w', found[1])
    redis.call('XDEL', t, found[1])
    if redis.call('HGET', before, 't') == found[1] then
      redis.call('HSET', before, 't', redis.call('XADD', t, '*', 'i', found[2][2]))
    end
  end
end
-- What every commit looks at or changes stands first, as a small hash is searched from its beginning.
redis.call('HSET', x, 'v', ARGV[6], 'e', epoch, 'o', owner, 'k', '', 'n', '0', 's', ARGV[8], 'f', ARGV[10],
  'u', ARGV[5], 'p', ARGV[9], 't', entry, 'a', '', 'w', ARGV[2], 'd', digest, 'c', ARGV[5])
redis.call('ZADD', p .. 'st:' .. ARGV[8], 0, id)
redis.call('ZADD', p .. 'wf:' .. ARGV[2], 0, id)
if ARGV[10] ~= '' then
  redis.call('ZADD', p .. 'fo', 0, id)
end
if ARGV[11] ~= '' then
  redis.call('SET', p .. 'k:' .. ARGV[11], ARGV[12], 'PXAT', ARGV[13])
end
if ARGV[14] ~= '' and owner == '' then
  redis.call('PUBLISH', p .. 'ring', id)
end
return {'made', owner ~= '' and 1 or 0}
