<?php

declare(strict_types=1);

namespace Stockade;

/**
 * What a sweep expired.
 */
final class SweepReport
{
    /**
     * @param int $holdsExpired holds that expired
     * @param int $ordersCancelled orders cancelled because they were not paid in time
     */
    public function __construct(
        public readonly int $holdsExpired,
        public readonly int $ordersCancelled,
    ) {
    }
}
