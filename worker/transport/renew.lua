-- Starts the time of unacknowledged messages anew; those that somebody else has by now are left.
--
-- KEYS: the index. ARGV: the time as kombu scores it, then tags.

-- Removes nothing. A full Redis refuses ZADD as a script's first write, and not after this one.
redis.call('ZREM', KEYS[1], '')
for number = 2, #ARGV do
  redis.call('ZADD', KEYS[1], 'XX', ARGV[1], ARGV[number])
end
