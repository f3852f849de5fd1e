<?php

declare(strict_types=1);

namespace Stockade\Tests;

use RuntimeException;

/** A script of tests/http that listens, which ends with this object. */
final class Helper
{
    /** The address that it printed. */
    public readonly string $address;
    /** @var resource */
    private $process;

    /** @param list<string> $arguments */
    public function __construct(string $script, array $arguments)
    {
        $command = [PHP_BINARY, __DIR__ . "/http/{$script}.php", ...$arguments];
        $null = ['file', '/dev/null', 'r+'];
        $process = proc_open($command, [$null, ['pipe', 'w'], $null], $pipes);
        $line = $process === false ? false : fgets($pipes[1]);
        if ($process === false || $line === false) {
            throw new RuntimeException("{$script} does not listen");
        }
        [$this->process, $this->address] = [$process, trim($line)];
    }

    public function __destruct()
    {
        proc_terminate($this->process, SIGKILL);
        proc_close($this->process);
    }
}
