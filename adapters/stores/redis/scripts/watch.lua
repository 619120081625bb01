-- Have an execution's journal ring from now on: somebody listens. KEYS[1] the shard. ARGV: id.
-- Commits of others ring nowhere: on a Cluster every message goes to every node.
local x = KEYS[1] .. 'x:' .. ARGV[1]
if redis.call('EXISTS', x) == 1 then
  redis.call('HSET', x, 'l', '1')
end
return 1
