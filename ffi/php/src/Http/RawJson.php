<?php

declare(strict_types=1);

namespace Stockade\Http;

/**
 * A part of a request that is JSON already, such as metadata, which is kept as it came.
 *
 * @internal
 */
final class RawJson
{
    /** @param string $text valid JSON */
    public function __construct(public readonly string $text)
    {
    }
}
