# What a Vagrantfile may rely on that this Vagrant or this Ruby has not: other versions, plugins, the Ruby that Vagrant's
# own installers bring (2.7, where Debian's is 3.1). None of it is the submission's doing, so none of it is held against it.
# Used where a Vagrantfile is read (vagrant/read.rb) and where it is brought up (the home Vagrantfile of a lab).
require "yaml"
require "set"

module ImparcialLenient
  # Sections of plugins that are not here, by the names that `config.…` gave them; plugins asked for by name.
  PLUGINS = Set.new
  # Version requirements that this Vagrant does not satisfy.
  VERSIONS = Set.new

  # `Vagrant.has_plugin?`, `Vagrant.require_version`, `Vagrant.require_plugin`.
  module Asked
    def has_plugin?(name, version = nil)
      super || (PLUGINS << name.to_s; true)
    end

    def require_version(*requirements)
      satisfied = Gem::Requirement.new(*requirements).satisfied_by?(Gem::Version.new(Vagrant::VERSION))
      VERSIONS.merge(requirements.map(&:to_s)) unless satisfied
    end

    def require_plugin(name)
      PLUGINS << name.to_s
    end
  end
  Vagrant.singleton_class.prepend(Asked)

  # `require "vagrant-hostmanager"`.
  module Required
    def require(name)
      super
    rescue LoadError => e
      raise unless e.path.to_s == name.to_s && name.to_s.match?(/\Avagrant[-_]/)

      PLUGINS << name.to_s
      false
    end
    private :require
  end
  Object.prepend(Required)

  # `config.vagrant.plugins`: nothing is installed, and nobody is asked.
  module NoPlugins
    def process_configured_plugins
      asked = vagrantfile.config.vagrant.plugins
      asked.each { |name, *| PLUGINS << name.to_s } if asked.respond_to?(:each)
      {}
    end
  end
  Vagrant::Environment.prepend(NoPlugins)

  # The same where Vagrant is in the middle of asking already, since it read the home Vagrantfile for it.
  module NoneConfigured
    def finalize!
      super
      return unless @plugins.respond_to?(:each_key)

      PLUGINS.merge(@plugins.keys.map(&:to_s))
      @plugins = {}
    end
  end
  Vagrant.plugin("2").manager.config[:vagrant].prepend(NoneConfigured)

  # A section of a plugin that is not here. One that is a slip of the pen for Vagrant's own stays an error.
  module Sections
    OWN = %w[vm ssh nfs vagrant trigger winrm winssh push package].freeze

    def validate(machine, ignore_provider = nil)
      plugins, slips = @missing_key_calls.partition { |key| OWN.none? { |own| Sections.near?(key.to_s, own) } }
      PLUGINS.merge(plugins.map(&:to_s))
      @missing_key_calls = Set.new(slips)
      super
    end

    # One letter more, less or other, or two that changed places.
    def self.near?(one, other)
      return true if one.length == other.length && one.chars.sort == other.chars.sort
      return false if (one.length - other.length).abs > 1

      long, short = [one, other].sort_by(&:length).reverse
      (0...long.length).any? do |i|
        rest = long[0...i] + long[i + 1..]
        rest == short || (long.length == short.length && rest == short[0...i] + short[i + 1..])
      end
    end
  end
  Vagrant::Config::V2::Root.prepend(Sections)

  # A provisioner, or a kind of synced folder, of a plugin that is not here.
  module Machines
    def validate(machine, ignore_provider = nil)
      @provisioners.reject! { |it| it.invalid? && PLUGINS << it.type.to_s }
      known = Vagrant.plugin("2").manager.synced_folders
      @__synced_folders.each_value do |options|
        next if options[:type].nil? || known[options[:type]]

        PLUGINS << options.delete(:type).to_s
      end
      super
    end

    # Ruby 2.7 takes a hash for named arguments: `network "private_network", {ip: …}`, `provision "shell", options`.
    def network(type, *given, **options)
      super(type, **Machines.named(given), **options)
    end

    def provision(name, *given, **options, &block)
      super(name, **Machines.named(given), **options, &block)
    end

    def disk(type, *given, **options, &block)
      super(type, **Machines.named(given), **options, &block)
    end

    def self.named(given)
      return {} if given.empty?
      return given[0].transform_keys(&:to_sym) if given.length == 1 && given[0].is_a?(Hash)

      raise ArgumentError, "wrong number of arguments (given #{given.length + 1}, expected 1)"
    end

    # Of Vagrant 2.4.
    attr_accessor :box_architecture
  end
  Vagrant.plugin("2").manager.config[:vm].prepend(Machines)
  ssh = Vagrant.plugin("2").manager.config[:ssh]
  ssh.attr_accessor(:key_type) unless ssh.method_defined?(:key_type)
end

# The YAML library of Ruby 2.7 reads aliases and symbols.
if YAML.respond_to?(:unsafe_load)
  module YAML
    class << self
      def load(text, *_, **options)
        unsafe_load(text, **options.slice(:filename, :fallback, :symbolize_names, :freeze))
      end

      def load_file(path, **options)
        unsafe_load_file(path, **options.slice(:fallback, :symbolize_names, :freeze))
      end
    end
  end
end
