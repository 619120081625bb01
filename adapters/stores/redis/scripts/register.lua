-- Register a version of a workflow; the newest version's own content again is that version.
-- KEYS[1] the place of workflows. ARGV: workflow, digest, definition, at.
-- Answers {version, digest, at}.
local p, v = KEYS[1], KEYS[1] .. 'v:' .. ARGV[1]
local newest = tonumber(redis.call('HGET', v, 'n') or '0')
if newest > 0 then
  local digest = redis.call('HGET', v, newest .. 'd')
  if digest == ARGV[2] then
    redis.call('HSET', v, 'n', newest)  -- a write, so that WAIT covers what it repeats
    return {newest, digest, redis.call('HGET', v, newest .. 'a')}
  end
end
newest = newest + 1
redis.call('HSET', v, 'n', newest, newest .. 'd', ARGV[2], newest .. 'a', ARGV[4])
redis.call('HSETNX', p .. 'd', ARGV[2], ARGV[3])
redis.call('ZADD', p .. 'ids', 0, ARGV[1])
return {newest, ARGV[2], ARGV[4]}
