-- fluent-bit's filter lua: takes the time of a record from the TAI64N label in front of its line.

-- Labels are 10 seconds ahead of Unix time. Those of s6-log are 37 seconds ahead.
local ahead = 10

function tai64n(tag, timestamp, record)
    local high, low, nanoseconds, text =
        string.match(record.log or "", "^@(%x%x%x%x%x%x%x%x)(%x%x%x%x%x%x%x%x)(%x%x%x%x%x%x%x%x) (.*)$")
    record.service = string.match(record.file or "", "^/service/([^/]+)/")
    if not high then
        -- Without a label the record keeps the time at which it was read.
        return 2, timestamp, record
    end
    record.log = text
    -- A number of Lua has 53 bits, so the label is read in halves. It begins with 2^62.
    local seconds = (tonumber(high, 16) - 0x40000000) * 4294967296 + tonumber(low, 16) - ahead
    return 1, { sec = seconds, nsec = tonumber(nanoseconds, 16) }, record
end
