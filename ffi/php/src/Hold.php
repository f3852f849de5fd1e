<?php

declare(strict_types=1);

namespace Stockade;

use DateTimeImmutable;

/**
 * Stock kept for one buyer for a short time.
 */
final class Hold
{
    /**
     * @param int $id the hold's id
     * @param int $productId the product it keeps
     * @param int $qty units kept
     * @param HoldStatus $status where it stands
     * @param DateTimeImmutable $expiresAt dead from this moment on; UTC
     * @param DateTimeImmutable $createdAt when it was made; UTC
     * @param string $token an unguessable word that shows whose hold it is
     * @param bool $replayed whether the answer was remembered under the idempotency key
     */
    public function __construct(
        public readonly int $id,
        public readonly int $productId,
        public readonly int $qty,
        public readonly HoldStatus $status,
        public readonly DateTimeImmutable $expiresAt,
        public readonly DateTimeImmutable $createdAt,
        public readonly string $token,
        public readonly bool $replayed,
    ) {
    }
}
