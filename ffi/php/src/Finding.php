<?php

declare(strict_types=1);

namespace Stockade;

/**
 * Something that is wrong.
 */
final class Finding
{
    /**
     * @param string $check the check that found it, such as "conservation"
     * @param int $id the product, hold or order that it is about
     * @param string $detail what was expected and what was found
     */
    public function __construct(
        public readonly string $check,
        public readonly int $id,
        public readonly string $detail,
    ) {
    }
}
