<?php

declare(strict_types=1);

namespace Stockade;

/**
 * One hold of a request that cannot be used.
 */
final class UnusableHold
{
    /**
     * @param int $holdId the hold
     * @param string $code the stable code of the reason, such as "hold_expired"
     * @param ?int $orderId the order that used the hold, if one did
     */
    public function __construct(
        public readonly int $holdId,
        public readonly string $code,
        public readonly ?int $orderId,
    ) {
    }
}
