<?php

declare(strict_types=1);

namespace Stockade;

/**
 * What a sweep gave back.
 */
final class SweepReport
{
    /**
     * @param int $holdsExpired holds whose time was over
     * @param int $ordersCancelled orders that were never paid
     */
    public function __construct(
        public readonly int $holdsExpired,
        public readonly int $ordersCancelled,
    ) {
    }
}
