<?php

declare(strict_types=1);

namespace Stockade;

/**
 * A fault that an audit found.
 */
final class Finding
{
    /**
     * @param string $check the check that failed, such as "conservation"
     * @param int $id the id of the product, hold or order, depending on the check
     * @param string $detail the expected and the actual value
     */
    public function __construct(
        public readonly string $check,
        public readonly int $id,
        public readonly string $detail,
    ) {
    }
}
