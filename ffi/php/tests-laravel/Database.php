<?php

declare(strict_types=1);

namespace Stockade\Tests\Laravel;

use PDO;

/** An empty database of the test servers' MySQL. */
final class Database
{
    private static int $count = 0;

    public readonly string $name;
    public readonly PDO $pdo;

    public function __construct()
    {
        $this->name = 'l_' . getmypid() . '_' . hrtime(true) . '_' . self::$count++;
        $this->pdo = new PDO('mysql:host=127.0.0.1;port=' . self::port(), 'root', '');
        $this->pdo->exec("CREATE DATABASE {$this->name} CHARACTER SET utf8mb4");
        $this->pdo->exec("USE {$this->name}");
    }

    /** As Stockade names it. */
    public function store(): string
    {
        return 'mysql://root@127.0.0.1:' . self::port() . "/{$this->name}";
    }

    /**
     * The settings by which an application uses it, and Redis.
     *
     * @return array<string, string>
     */
    public function environment(): array
    {
        return [
            'DB_PORT' => self::port(),
            'DB_DATABASE' => $this->name,
            'REDIS_PORT' => (string) getenv('STOCKADE_TEST_REDIS'),
            'REDIS_PREFIX' => "{$this->name}:",
        ];
    }

    /**
     * The settings by which a running engine uses Redis.
     *
     * @return array<string, string>
     */
    public function redis(): array
    {
        return [
            'redis' => 'redis://127.0.0.1:' . getenv('STOCKADE_TEST_REDIS'),
            'redis_prefix' => "{$this->name}:",
        ];
    }

    private static function port(): string
    {
        return (string) getenv('STOCKADE_TEST_MYSQL');
    }
}
