<?php

declare(strict_types=1);

namespace Stockade\Laravel\Facades;

use Illuminate\Support\Facades\Facade;
use Stockade\Client;
use Stockade\Testing\FakeClient;

/**
 * The application's {@see Client}.
 *
 * @mixin Client
 */
final class Stockade extends Facade
{
    /** The container is asked each time: a client of another request's application is never kept here. */
    protected static $cached = false;

    /** Replaces the client by a fake, whose assertions the test asks. */
    public static function fake(): FakeClient
    {
        $fake = new FakeClient();
        self::getFacadeApplication()->instance(Client::class, $fake);
        return $fake;
    }

    protected static function getFacadeAccessor(): string
    {
        return Client::class;
    }
}
