<?php

declare(strict_types=1);

namespace Stockade\Tests;

use Psr\Log\AbstractLogger;

/** Keeps what is logged. */
final class MemoryLogger extends AbstractLogger
{
    /** @var list<string> */
    public array $lines = [];

    /**
     * @param mixed $level
     * @param string|\Stringable $message
     * @param array<string, mixed> $context
     */
    public function log($level, $message, array $context = []): void
    {
        $this->lines[] = "{$level} {$message} " . json_encode($context);
    }
}
