<?php

declare(strict_types=1);

namespace Stockade\Http;

use RuntimeException;

/**
 * An attempt to send a call whose response did not arrive. Never leaves the driver.
 *
 * @internal
 */
final class ConnectionLost extends RuntimeException
{
    /** @param bool $isSent whether the call may have been executed */
    public function __construct(string $message, public readonly bool $isSent)
    {
        parent::__construct($message);
    }
}
