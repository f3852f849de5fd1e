<?php

declare(strict_types=1);

return [
    'hold_ttl' => (int) env('HOLD_TTL', 120),
    // Laravel's 250 ms leave the product idle between two buyers.
    'lock_poll_ms' => (int) env('LOCK_POLL_MS', 10),
];
