-- Make the consumer group of each shard's tickets, and its stream with it, where they are missing.
-- KEYS the shards, each ending in a colon. Tickets that are in a stream already are handed out anew.
for _, p in ipairs(KEYS) do
  if string.sub(p, -1) == ':' then
    local made = redis.pcall('XGROUP', 'CREATE', p .. 't', 'w', '0', 'MKSTREAM')
    if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then
      return made
    end
  end
end
return 1
