<?php

declare(strict_types=1);

namespace Stockade;

use DateTimeImmutable;

/**
 * Stock reserved for one buyer for a short time.
 */
final class Hold
{
    /**
     * @param int $id the hold's id
     * @param int $productId the product
     * @param int $quantity units reserved
     * @param HoldStatus $status its status
     * @param DateTimeImmutable $expiresAt expired from this moment on; UTC
     * @param DateTimeImmutable $createdAt when it was created; UTC
     * @param string $token an unguessable token that authorizes using the hold
     * @param bool $replayed whether this replays the first response of the idempotency key
     */
    public function __construct(
        public readonly int $id,
        public readonly int $productId,
        public readonly int $quantity,
        public readonly HoldStatus $status,
        public readonly DateTimeImmutable $expiresAt,
        public readonly DateTimeImmutable $createdAt,
        public readonly string $token,
        public readonly bool $replayed,
    ) {
    }
}
